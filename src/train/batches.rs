//! Batches of training samples, made on threads of their own, a few ahead of the training loop.
//!
//! What a sample is follows from the seed and its number, so threads share the work of a batch as they like, and a run that
//! goes on from a step needs nothing else than that step.

use crate::data::Indexed;
use crate::draws::CleanSamples;
use crate::error::{Error, Result};
use crate::random::{Purpose, fill_normal, stream};
use ndarray::Array2;
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Batches that wait at most.
const AHEAD: usize = 4;

/// Rows of a data set at most: an epoch's order takes four bytes for each.
pub const MOST_ROWS: usize = u32::MAX as usize;

/// Where clean samples come from.
#[derive(Clone)]
pub enum Data {
    /// A finite set, [N, D]: every epoch sees each row once, in an order of its own.
    Rows(Arc<Array2<f32>>),
    /// The same on disk, read as it is needed.
    Indexed(Arc<Indexed>),
    /// A density: every sample is new.
    Drawn(Arc<dyn CleanSamples>),
}

/// Training samples, flattened.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Clean samples, B · D numbers.
    pub x0: Vec<f32>,
    /// Standard normal noise, B · D numbers.
    pub noise: Vec<f32>,
    /// Timesteps, B of them.
    pub t: Vec<usize>,
}

/// What training samples depend on.
#[derive(Clone)]
pub struct Batches {
    /// The clean samples.
    pub data: Data,
    /// Shape of one sample.
    pub shape: Vec<i64>,
    /// Number of timesteps T.
    pub timesteps: usize,
    /// Whether half of the samples are mirrored left to right.
    pub flip: bool,
    /// Seed of all streams.
    pub seed: u64,
    /// Samples per batch.
    pub size: u64,
    /// Those of each batch that are made here; the others are made by other processes.
    pub rows: Range<u64>,
    /// Threads that make them; nothing else depends on it.
    pub workers: usize,
}

impl Batches {
    /// Makes batches from number `first` on. The threads end when the receiver is dropped, or behind an error.
    pub fn start(self, first: u64) -> Receiver<Result<Batch>> {
        let (sender, receiver) = sync_channel(AHEAD);
        thread::spawn(move || self.send(&sender, first));
        receiver
    }

    fn send(&self, sender: &SyncSender<Result<Batch>>, first: u64) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.workers.max(1)).build();
        let pool = pool.map_err(|e| Error::mismatch(format!("threads cannot be started ({e})"), "Use --workers 1."));
        let mut order = Order::default();
        for number in first.. {
            let batch = match &pool {
                Ok(pool) => self.batch(number, &mut order, pool),
                Err(e) => Err(Error::mismatch(e.problem(), e.next())),
            };
            let is_last = batch.is_err();
            if sender.send(batch).is_err() || is_last {
                return;
            }
        }
    }

    /// The numbers of the samples of batch number `number` that are made here.
    fn samples(&self, number: u64) -> Range<u64> {
        let first = number * self.size;
        first + self.rows.start..first + self.rows.end
    }

    /// Batch number `number`, as far as it is made here.
    fn batch(&self, number: u64, order: &mut Order, pool: &rayon::ThreadPool) -> Result<Batch> {
        let dim: usize = self.shape.iter().product::<i64>().max(1) as usize;
        let samples = self.samples(number);
        let size = (samples.end - samples.start) as usize;
        let rows = self.rows_of(samples.clone(), order);
        let samples: Vec<(u64, usize)> = samples.zip(rows).collect();
        let mut batch = Batch { x0: vec![0.0; size * dim], noise: vec![0.0; size * dim], t: vec![0; size] };
        pool.install(|| {
            let places = batch.x0.par_chunks_mut(dim).zip(batch.noise.par_chunks_mut(dim)).zip(&mut batch.t);
            let all = places.zip(samples).with_max_len(1);
            all.try_for_each(|(((x0, noise), t), (sample, row))| {
                // Both are always drawn, so that the timesteps do not depend on whether samples are mirrored.
                let mut rng = stream(self.seed, Purpose::Training, 0.0, sample);
                *t = rng.random_range(0..self.timesteps);
                let mirrored = rng.random_bool(0.5) && self.flip;
                self.clean(sample, row, x0)?;
                if mirrored {
                    let width = self.shape.last().map_or(1, |width| *width as usize);
                    x0.chunks_exact_mut(width.max(1)).for_each(<[f32]>::reverse);
                }
                fill_normal(&mut stream(self.seed, Purpose::TrainingNoise, 0.0, sample), noise);
                Ok(())
            })
        })?;
        Ok(batch)
    }

    /// The rows of the data that these samples are, whatever holds them; 0 of a density.
    fn rows_of(&self, samples: Range<u64>, order: &mut Order) -> Vec<usize> {
        let count = match &self.data {
            Data::Rows(rows) => rows.nrows(),
            Data::Indexed(rows) => rows.len(),
            Data::Drawn(_) => return samples.map(|_| 0).collect(),
        };
        samples.map(|sample| order.row(self.seed, sample, count)).collect()
    }

    fn clean(&self, sample: u64, row: usize, out: &mut [f32]) -> Result<()> {
        match &self.data {
            Data::Drawn(source) => {
                source.draw(&mut stream(self.seed, Purpose::CleanSample, -1.0, sample), out)?;
            }
            Data::Rows(rows) => out.iter_mut().zip(rows.row(row)).for_each(|(to, from)| *to = *from),
            Data::Indexed(rows) => rows.read(row, out)?,
        }
        Ok(())
    }
}

/// The order of the current epoch.
#[derive(Default)]
struct Order {
    epoch: Option<u64>,
    rows: Vec<u32>,
}

impl Order {
    /// The row that sample number `sample` is.
    fn row(&mut self, seed: u64, sample: u64, count: usize) -> usize {
        let (epoch, place) = (sample / count as u64, (sample % count as u64) as usize);
        if self.epoch != Some(epoch) {
            self.rows.clear();
            self.rows.extend(0..count as u32);
            self.rows.shuffle(&mut stream(seed, Purpose::Shuffle, 0.0, epoch));
            self.epoch = Some(epoch);
        }
        self.rows[place] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(flip: bool) -> Batches {
        let rows = Array2::from_shape_fn((6, 4), |(row, column)| (10 * row + column) as f32);
        let (shape, data) = (vec![1, 2, 2], Data::Rows(Arc::new(rows)));
        Batches { data, shape, timesteps: 1000, flip, seed: 5, size: 4, rows: 0..4, workers: 1 }
    }

    fn first(batches: Batches, from: u64, count: usize) -> Vec<Batch> {
        batches.start(from).iter().take(count).collect::<Result<_>>().unwrap()
    }

    #[test]
    fn a_sample_depends_on_its_number_only() {
        let straight = first(batches(false), 0, 6);
        assert_eq!(first(batches(false), 3, 3), straight[3..]);
        assert_eq!(first(Batches { workers: 3, ..batches(false) }, 0, 6), straight);
        // Twice the size, half the number.
        let large = first(Batches { size: 8, rows: 0..8, ..batches(false) }, 0, 3);
        for (i, batch) in large.iter().enumerate() {
            assert_eq!(batch.t, [&straight[2 * i].t[..], &straight[2 * i + 1].t[..]].concat());
            assert_eq!(batch.noise, [&straight[2 * i].noise[..], &straight[2 * i + 1].noise[..]].concat());
        }
    }

    #[test]
    fn rows_of_several_processes_are_the_batch_of_one() {
        let whole = first(batches(true), 2, 3);
        for edges in [vec![0, 2, 4], vec![0, 1, 2, 4]] {
            let parts: Vec<Vec<Batch>> =
                edges.windows(2).map(|edge| first(Batches { rows: edge[0]..edge[1], ..batches(true) }, 2, 3)).collect();
            for (i, batch) in whole.iter().enumerate() {
                let of =
                    |part: &dyn Fn(&Batch) -> Vec<f32>| parts.iter().flat_map(|p| part(&p[i])).collect::<Vec<f32>>();
                assert_eq!((of(&|b| b.x0.clone()), of(&|b| b.noise.clone())), (batch.x0.clone(), batch.noise.clone()));
                assert_eq!(parts.iter().flat_map(|p| p[i].t.clone()).collect::<Vec<_>>(), batch.t);
            }
        }
    }

    #[test]
    fn every_epoch_sees_every_row_once_in_its_own_order() {
        let straight = first(batches(false), 0, 3);
        let rows: Vec<usize> = straight.iter().flat_map(|b| b.x0.chunks(4)).map(|x| x[0] as usize / 10).collect();
        let sorted = |rows: &[usize]| {
            let mut rows = rows.to_vec();
            rows.sort_unstable();
            rows
        };
        assert_eq!(sorted(&rows[..6]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(sorted(&rows[6..]), [0, 1, 2, 3, 4, 5]);
        assert_ne!(rows[..6], rows[6..]);
    }

    /// The order of runs made when it was kept in 64-bit numbers.
    #[test]
    fn the_order_does_not_depend_on_the_width_of_its_numbers() {
        let mut wide: Vec<usize> = (0..10_000).collect();
        wide.shuffle(&mut stream(3, Purpose::Shuffle, 0.0, 2));
        let mut order = Order::default();
        assert!((0..10_000).all(|place| order.row(3, 20_000 + place as u64, 10_000) == wide[place]));
    }

    #[test]
    fn mirroring_turns_rows_of_pixels_and_nothing_else() {
        let (plain, flipped) = (first(batches(false), 0, 10), first(batches(true), 0, 10));
        let mut mirrored = 0;
        for (a, b) in plain.iter().zip(&flipped) {
            assert_eq!((&a.t, &a.noise), (&b.t, &b.noise));
            for (a, b) in a.x0.chunks(4).zip(b.x0.chunks(4)) {
                assert!(a == b || [a[1], a[0], a[3], a[2]] == b);
                mirrored += usize::from(a != b);
            }
        }
        // 20 of 40, up to four standard deviations.
        assert!((8..33).contains(&mirrored), "{mirrored}");
    }
}
