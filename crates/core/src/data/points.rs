//! Embedded sets of points in the plane, as toy experiments use them: `moons`, `swiss-roll`, `checkerboard`. They are
//! drawn from a fixed stream, so that a name is one data set; `:n=N` changes the number of points.
//!
//! `eight-gaussians` is no set but a density in closed form, so its ideal denoiser is exact.

use super::Raw;
use super::distribution::{MixtureParameters, Spread};
use super::scaling::Scaling;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use crate::tensor_file::{Array, Dtype};
use ndarray::{Array1, Array2};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::{PI, TAU};
use std::sync::Arc;

/// Points unless the name says otherwise.
const COUNT: usize = 10_000;
const MOST: usize = 10_000_000;

/// A shape in the plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Two interleaved half circles with noise of 0.05.
    Moons,
    /// A spiral of one and a half turns with noise of 0.02.
    SwissRoll,
    /// The black squares of a 4 × 4 board, without noise.
    Checkerboard,
}

/// A set of points, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points {
    /// Their shape.
    pub shape: Shape,
    /// Their number.
    pub count: usize,
}

impl Points {
    /// `moons`, `swiss-roll` or `checkerboard`, each also as `NAME:n=N`; `None` for other words.
    pub(super) fn parse(text: &str) -> Option<Result<Self>> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let shape = [Shape::Moons, Shape::SwissRoll, Shape::Checkerboard].into_iter().find(|s| s.name() == name)?;
        if rest.is_empty() {
            return Some(Ok(Points { shape, count: COUNT }));
        }
        let count = rest.strip_prefix("n=").and_then(|n| n.parse().ok()).filter(|n| (1..=MOST).contains(n));
        Some(count.map(|count| Points { shape, count }).ok_or_else(|| {
            let allowed = format!("{name} takes n, from 1 to {MOST}");
            Error::argument("--data", text, allowed, format!("Such as {name}:n={COUNT}."))
        }))
    }

    /// All points, [N, 2].
    pub(super) fn load(self) -> Result<Raw> {
        let mut rng = stream(0, Purpose::Points, self.shape as u8 as f64, 0);
        let bytes = (0..self.count).flat_map(|_| self.shape.draw(&mut rng)).flat_map(|x| (x as f32).to_le_bytes());
        let array = Array::new(vec![self.count, 2], Dtype::F32, Arc::new(bytes.collect()));
        Ok(Raw {
            array: array.map_err(|e| Error::mismatch(e, "Please report this."))?,
            scaling: Some(Scaling::AsTheyAre),
            labels: None,
            description: format!("{} embedded points in the plane ({})", self.count, self.shape.name()),
            warnings: Vec::new(),
        })
    }
}

impl std::fmt::Display for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.count {
            COUNT => f.write_str(self.shape.name()),
            count => write!(f, "{}:n={count}", self.shape.name()),
        }
    }
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Moons => "moons",
            Shape::SwissRoll => "swiss-roll",
            Shape::Checkerboard => "checkerboard",
        }
    }

    /// One point, within about [−1, 1]².
    fn draw(self, rng: &mut impl Rng) -> [f64; 2] {
        let mut noise = |std: f64| -> f64 { std * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, rng) };
        match self {
            Shape::Moons => {
                let (dx, dy) = (noise(0.05), noise(0.05));
                let angle = rng.random_range(0.0..PI);
                let (x, y) = if rng.random_bool(0.5) {
                    (angle.cos() - 0.5, angle.sin() - 0.25)
                } else {
                    (0.5 - angle.cos(), 0.25 - angle.sin())
                };
                [x / 1.5 + dx, y / 1.5 + dy]
            }
            Shape::SwissRoll => {
                let (dx, dy) = (noise(0.02), noise(0.02));
                let angle = 1.5 * PI * (1.0 + 2.0 * rng.random_range(0.0..1.0));
                let radius = angle / (4.5 * PI);
                [radius * angle.cos() + dx, radius * angle.sin() + dy]
            }
            Shape::Checkerboard => {
                let (x, y): (f64, f64) = (rng.random_range(0.0..4.0), rng.random_range(0.0..2.0));
                // In every column two of the four squares.
                let row = 2.0 * y.floor() + x.floor() % 2.0 + y.fract();
                [x / 2.0 - 1.0, row / 2.0 - 1.0]
            }
        }
    }
}

/// Eight Gaussians of standard deviation 0.1 on the unit circle.
pub fn eight_gaussians() -> MixtureParameters {
    let means = Array2::from_shape_fn((8, 2), |(k, axis)| {
        let angle = TAU * k as f64 / 8.0;
        if axis == 0 { angle.cos() } else { angle.sin() }
    });
    MixtureParameters {
        weights: Array1::from_elem(8, 1.0 / 8.0),
        means,
        spread: Spread::Diagonal(Array2::from_elem((8, 2), 0.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> Vec<[f64; 2]> {
        let points = Points::parse(text).unwrap().unwrap();
        let flat = points.load().unwrap().array.map(|x| x);
        flat.chunks(2).map(|p| [p[0], p[1]]).collect()
    }

    #[test]
    fn every_shape_lies_where_it_should() {
        for name in ["moons", "swiss-roll", "checkerboard"] {
            let points = points(name);
            assert_eq!(points.len(), COUNT);
            assert!(points.iter().flatten().all(|x| x.abs() < 1.3), "{name}");
        }
        // Black squares only, all eight of them, equally often: 1,250 ± 5 standard deviations of 33.
        let mut counts = [0; 16];
        for [x, y] in points("checkerboard") {
            let (column, row) = (((x + 1.0) * 2.0).floor() as usize, ((y + 1.0) * 2.0).floor() as usize);
            assert_eq!((column + row) % 2, 0);
            counts[4 * column + row] += 1;
        }
        assert!(counts.iter().filter(|n| **n > 0).all(|n| (1085..1415).contains(n)), "{counts:?}");
        // The roll is the graph of the radius over the angle: r = angle/(4.5π), up to the noise.
        for [x, y] in points("swiss-roll:n=200") {
            let r = x.hypot(y);
            let turns = (r * 4.5 * PI - y.atan2(x)) / TAU;
            assert!((turns - turns.round()).abs() * TAU < 5.0 * 0.02 * (4.5 * PI + 1.0 / r), "{x} {y}");
        }
    }

    #[test]
    fn a_name_is_one_data_set() {
        assert_eq!(points("moons:n=10"), points("moons:n=10"));
        assert_eq!(points("moons:n=10"), points("moons")[..10]);
        assert!(Points::parse("moons:n=0").unwrap().is_err() && Points::parse("moons:m=2").unwrap().is_err());
        assert!(Points::parse("digits").is_none());
    }
}
