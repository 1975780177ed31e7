//! The ideal noise of a Gaussian under a process with auxiliary variables: a curve for each variable.

use super::Expected;
use crate::estimator::Quantity;
use crate::ideal::Gaussian;
use crate::process::ForwardProcess;
use crate::report::Curve;
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use lipscope_core::process::LinearGaussian;
use lipscope_core::process::linear_gaussian::{Ideal, Kernel};
use std::sync::Arc;

/// ε* = C (u − m) in each coordinate of the eigenbasis, with C and m at the condition, u ~ N(m, P) at t itself.
pub struct WithAuxiliaries<'a> {
    /// Mean and variance of each coordinate.
    moments: Vec<(f64, f64)>,
    process: &'a Arc<LinearGaussian>,
    map: &'a dyn TimestepMap,
}

impl<'a> WithAuxiliaries<'a> {
    /// The expectations over a Gaussian whose ideal noise is asked through `map`.
    pub fn new(gaussian: &Gaussian, process: &'a Arc<LinearGaussian>, map: &'a dyn TimestepMap) -> Self {
        let (mean, variance) = gaussian.moments();
        WithAuxiliaries { moments: mean.into_iter().zip(variance).collect(), process, map }
    }

    /// What `of` says of each coordinate's ideal noise at the conditions of `asked` and of its law at t; neighbours that are
    /// alike share theirs.
    fn each(
        &self,
        (t, asked): (Timestep, &[Timestep]),
        of: impl Fn(&Ideal, &[Ideal]) -> Option<(f64, f64)>,
    ) -> Vec<(f64, f64)> {
        let conditions: Vec<Timestep> = asked.iter().map(|&t| self.map.condition(t)).collect();
        let (kernel, kernels) = (self.process.kernel(t), self.process.kernels(&conditions));
        let at = |moments: (f64, f64)| {
            let ideal = |(kernel, t): (&Arc<Kernel>, &Timestep)| self.process.ideal(kernel, *t, moments.0, moments.1);
            let asked: Vec<Ideal> = kernels.iter().zip(&conditions).map(ideal).collect();
            of(&self.process.ideal(&kernel, t, moments.0, moments.1), &asked).unwrap_or((f64::NAN, f64::NAN))
        };
        let mut found: Vec<(f64, f64)> = Vec::with_capacity(self.moments.len());
        for (place, &moments) in self.moments.iter().enumerate() {
            let before = place.checked_sub(1).filter(|&before| self.moments[before] == moments);
            found.push(before.map_or_else(|| at(moments), |before| found[before]));
        }
        found
    }
}

impl Expected for WithAuxiliaries<'_> {
    fn process(&self) -> &dyn ForwardProcess {
        self.process
    }

    fn blocks(&self) -> Vec<Option<String>> {
        self.process.names().into_iter().map(Some).collect()
    }

    fn jumps_at(&self, t: Timestep) -> bool {
        self.map.jumps_at(t)
    }

    fn coordinates(&self, curve: &Curve, t: Timestep) -> Vec<(f64, f64)> {
        let name = |name: &String| Some(name) == curve.block.as_ref();
        let variable = self.process.names().iter().position(name).unwrap_or_default();
        match (curve.quantity, curve.dt) {
            (Quantity::Size, _) => self.each((t, &[t]), |law, asked| Some(asked.first()?.size(law)[variable])),
            (_, Some(dt)) => self.each((t, &[t, t + dt]), |law, asked| {
                let [here, next] = asked else { return None };
                Some(here.change(next, law)[variable])
            }),
            (_, None) => {
                let speed = self.map.rate(t);
                let rates = self.each((t, &[t]), |law, asked| Some(asked.first()?.rate(law)[variable]));
                rates.into_iter().map(|(mean, variance)| (mean * speed, variance * speed * speed)).collect()
            }
        }
    }
}
