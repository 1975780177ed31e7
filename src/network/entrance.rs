//! Where tangents of t enter a network in lipscope's own layers: at one site, or through one frequency of the features.
//!
//! ∂y/∂t = Σᵢ Jᵢ ėᵢ over the sites ([`crate::nn::TimeSignal`]), and ∂y/∂t = Σₖ J ėₖ over the frequencies ωₖ of the features,
//! where sin ωₖt and cos ωₖt belong together. Each sum is exact, since a tangent goes through the network linearly.

use super::Condition;
use crate::device::upload_integers;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::nn::{Sites, Wave};
use tch::Tensor;

/// Frequencies are told apart in so many groups at most.
const MOST_GROUPS: usize = 32;

/// Which tangents of t enter.
#[derive(Debug)]
pub enum Entrance {
    /// Those of these sites.
    At(Sites),
    /// Those of these columns of the features, at all sites behind them.
    Through(Vec<i64>),
    /// Those that do not go through the features, as where the output is divided by t.
    PastFeatures,
}

/// A network whose tangents of t can be let in one at a time.
pub trait Inside {
    /// A forward pass as [`super::Network::forward`], where tangents of t enter by `entrance` only.
    fn forward_by(&self, x: &Dual, t: &Dual, condition: &Condition, entrance: &Entrance) -> Result<Dual>;

    /// The frequencies of the features, fastest first, in at most 32 groups.
    ///
    /// # Errors
    /// The features of t are no waves.
    fn frequencies(&self) -> Result<Vec<Frequencies>>;
}

/// Neighbouring frequencies of the features of t, in radians per unit of what the network is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    /// The fastest, `None` for t itself.
    pub fastest: Option<f64>,
    /// The slowest, where there are several.
    pub slowest: Option<f64>,
    /// Their columns.
    pub columns: Vec<i64>,
}

impl Frequencies {
    /// In words: `1`, or `0.003162 to 0.0001`; `t` for t itself.
    pub fn name(&self) -> String {
        match (self.fastest, self.slowest) {
            (None, _) => "t".into(),
            (Some(fastest), None) => digits(fastest),
            (Some(fastest), Some(slowest)) => format!("{} to {}", digits(fastest), digits(slowest)),
        }
    }

    /// Groups of neighbours with about the same Σω², to which the fastest belong one by one. At unit amplitude ω² is the
    /// mean square of a wave's tangent, and so the slowest, of which there may be many, are those that share a group.
    pub(super) fn group(mut waves: Vec<Wave>) -> Vec<Self> {
        waves.sort_by(|a, b| b.frequency.total_cmp(&a.frequency));
        let mut groups: Vec<Self> = Vec::new();
        let straight = waves.extract_if(.., |wave| wave.is_t);
        groups.extend(straight.map(|wave| Frequencies { fastest: None, slowest: None, columns: wave.columns }));
        let most = MOST_GROUPS - groups.len();
        let mut rest: f64 = waves.iter().map(Wave::weight).sum();
        let (mut begun, mut sum) = (0, 0.0);
        for (i, wave) in waves.iter().enumerate() {
            sum += wave.weight();
            let left = most.saturating_sub(groups.len());
            let last = i + 1 == waves.len();
            let room = waves.len() - i - 1 < left;
            if last || (left > 1 && (room || sum >= rest / left as f64)) {
                groups.push(Self::of(&waves[begun..=i]));
                (begun, rest, sum) = (i + 1, rest - sum, 0.0);
            }
        }
        groups
    }

    /// One group of these, fastest first.
    fn of(waves: &[Wave]) -> Self {
        let (fastest, slowest) = (waves.first().map(|w| w.frequency), waves.last().map(|w| w.frequency));
        let columns = waves.iter().flat_map(|wave| wave.columns.iter().copied()).collect();
        Frequencies { fastest, slowest: slowest.filter(|_| waves.len() > 1), columns }
    }
}

/// Four significant digits.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let places = (3 - value.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// The features [B, F] with the tangent of these columns only.
pub(super) fn only_columns(features: Dual, columns: &[i64]) -> Result<Dual> {
    let doing = "choosing a frequency";
    let Some(tangent) = &features.tangent else { return Ok(features) };
    let index = upload_integers(columns, tangent.device())?;
    let mask = Tensor::f_zeros([tangent.size().last().copied().unwrap_or(0)], (tangent.kind(), tangent.device()));
    let mask = mask.and_then(|mask| mask.f_index_fill(0, &index, 1.0)).doing(doing)?;
    Ok(Dual::new(features.value.shallow_clone(), tangent.f_mul(&mask).doing(doing)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};

    fn waves(frequencies: impl IntoIterator<Item = f64>) -> Vec<Wave> {
        let wave = |(i, frequency)| Wave { frequency, is_t: false, columns: vec![i as i64] };
        frequencies.into_iter().enumerate().map(wave).collect()
    }

    #[test]
    fn few_frequencies_stand_alone_and_the_slowest_of_many_together() {
        let geometric = |count: i32| waves((0..count).map(|i| 1e4f64.powf(-f64::from(i) / f64::from(count))));
        let few = Frequencies::group(geometric(32));
        assert_eq!(few.len(), 32);
        assert!(few.iter().all(|group| group.slowest.is_none()));
        assert_eq!(few[1].name(), "0.7499");
        let many = Frequencies::group(geometric(160));
        assert!(many.len() <= MOST_GROUPS && many.len() > 25, "{}", many.len());
        assert!(many[..20].iter().all(|group| group.columns.len() == 1), "{many:?}");
        let mut columns: Vec<i64> = many.iter().flat_map(|group| group.columns.clone()).collect();
        columns.sort();
        assert_eq!(columns, (0..160).collect::<Vec<i64>>());
        assert!(many.last().unwrap().name().contains(" to "));
    }

    #[test]
    fn equal_frequencies_make_groups_of_equal_size() {
        let groups = Frequencies::group(waves([2.0; 128]));
        assert_eq!(groups.len(), 32);
        assert!(groups.iter().all(|group| group.columns.len() == 4));
    }

    #[test]
    fn t_itself_is_a_part_of_its_own() {
        let mut all = waves([3.0, 12345.6]);
        all.push(Wave { frequency: 0.0, is_t: true, columns: vec![9] });
        let names: Vec<String> = Frequencies::group(all).iter().map(Frequencies::name).collect();
        assert_eq!(names, ["t", "12346", "3"]);
    }

    /// Each part against the embedding moved at that site only, by differences in float64.
    #[test]
    fn a_site_contributes_what_moving_t_there_does() {
        let _no_grad = tch::no_grad_guard();
        for case in ["dit/diffusers", "unet2d_condition/class_table", "mmdit/flux_dev"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks").join(case);
            let read = |name: &str| -> std::collections::BTreeMap<String, Tensor> {
                Tensor::read_safetensors(folder.join(name)).unwrap().into_iter().collect()
            };
            let config: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
            let weights = crate::nn::Weights::new(read("weights.safetensors"), &folder);
            let mut network = crate::network::build(&config, &weights, &folder).unwrap();
            network.to(tch::Device::Cpu, tch::Kind::Double).unwrap();
            let given = read("expected.safetensors");
            let double = |name: &str| given.get(name).map(|tensor| tensor.to_kind(tch::Kind::Double));
            let condition = Condition {
                labels: given.get("labels").map(Tensor::shallow_clone),
                context: double("context"),
                pooled: double("pooled"),
                numbers: double("numbers"),
                ..Condition::default()
            };
            let (x, t) = (Dual::constant(double("x").unwrap()), double("t").unwrap());
            let t = Dual::new(t.shallow_clone(), t.ones_like());
            let by = |sites: Sites| {
                let entrance = Entrance::At(sites);
                (network.inside().unwrap().forward_by(&x, &t, &condition, &entrance).unwrap(), entrance)
            };
            let (_, Entrance::At(noted)) = by(Sites::noted()) else { unreachable!() };
            let names = noted.into_names();
            assert!(names.len() > 2, "{case}: {names:?}");
            for name in names {
                let moved = |h: f64| by(Sites::Moved(name.clone(), h)).0.value;
                let h = 1e-4;
                let differences = (moved(h) - moved(-h)) / (2.0 * h);
                let part = by(Sites::Only(name.clone())).0.tangent.unwrap();
                let reason = "central differences: h², and rounding 1e-16/h";
                assert_close(format!("{case}, {name}"), &part, &differences, Tolerance::of_largest(1e-6, reason));
            }
        }
    }
}
