//! The words and symbols on the axes: quantity, norm, denominator and unit.

use super::Horizontal;
use super::series::quantities;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::quantity::Quantity;
use crate::report::{Curve, Report};

/// y labels from the most explicit to the shortest; the page takes the first that fits.
pub(super) fn y_labels(report: &Report) -> Result<Vec<String>> {
    let curves: Vec<&Curve> = report.models.iter().flat_map(|m| &m.curves).collect();
    let Some(first) = curves.first() else {
        return Ok(vec![String::new()]);
    };
    if let Some(other) =
        curves.iter().find(|c| (&c.unit, &c.norm, &c.axis, &c.of) != (&first.unit, &first.norm, &first.axis, &first.of))
    {
        return Err(Error::mismatch(
            format!(
                "curves in {} ({} norm, {} axis) and in {} ({} norm, {} axis) cannot stand on one axis",
                first.unit, first.norm, first.axis, other.unit, other.norm, other.axis
            ),
            "Measure all models with the same --norm and --axis.",
        ));
    }
    let unit = &first.unit;
    if curves.iter().all(|curve| curve.is_size_of_rate()) {
        let of = |name: &str| format!("{name}  [{unit}]");
        return Ok(vec![of("total reverse rate R(x, t) = Σ Q(y, x) q(y)/q(x)"), of("total reverse rate R"), of("R")]);
    }
    let clock = clock(report);
    let names: Vec<(String, String)> = quantities(report).into_iter().map(|q| definition(q, &curves, &clock)).collect();
    let long: Vec<String> = names.iter().map(|(name, formula)| format!("{name} = {formula}")).collect();
    let short: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let of = first.quantity.subject(first.of).map(|words| format!(" of {words}")).unwrap_or_default();
    let of = format!("{}{of}", clock.variables());
    let what = if first.quantity == Quantity::Size { "size" } else { "Lipschitz estimate" };
    Ok(vec![
        format!("{}  [{unit}]", long.join(",  ")),
        format!("{what} {}{of}  [{unit}]", short.join(", ")),
        format!("{}{of}  [{unit}]", short.join(", ")),
        format!("{}{}  [{unit}]", short.join(", "), clock.variables()),
    ])
}

/// Name and formula of a quantity; the step is named where all curves have the same.
fn definition(quantity: Quantity, curves: &[&Curve], clock: &Clock) -> (String, String) {
    let of_it: Vec<&Curve> = curves.iter().copied().filter(|curve| curve.quantity == quantity).collect();
    let first = of_it.first();
    let dt = first.and_then(|first| first.dt).filter(|dt| of_it.iter().all(|curve| curve.dt == Some(*dt)));
    let (of, axis, norm) = first.map_or_else(Default::default, |first| (first.of, first.axis, first.norm));
    quantity.definition_by((of, axis, norm, dt), clock)
}

/// The arguments of time that all models have in common; t alone where they differ.
fn clock(report: &Report) -> Clock {
    let mut clocks = report.models.iter().map(|model| model.model.clock.as_ref());
    let first = clocks.next().flatten().filter(|first| clocks.all(|other| other == Some(*first)));
    first.cloned().unwrap_or_default()
}

/// What the figure is, in one sentence for readers who cannot see it.
pub(super) fn description(report: &Report, horizontal: Horizontal) -> String {
    let labels: Vec<&str> = report.models.iter().map(|m| m.label.as_str()).collect();
    let what = y_labels(report).ok().and_then(|l| l.into_iter().nth(1)).unwrap_or_default();
    format!("{what} over {}, for {}.", horizontal.words(), labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Norm;
    use crate::report::synthetic;
    use crate::time::Axis;

    #[test]
    fn labels_say_quantity_norm_axis_and_unit() {
        let mut report = synthetic::ddpm();
        assert_eq!(y_labels(&report).unwrap()[0], "K(t, t+1) = E‖ε(x, t) − ε(x, t+1)‖₂  [1/step]");
        let curve = &mut report.models[0].curves[0];
        (curve.norm, curve.axis, curve.unit, curve.dt) = (Norm::Rms, Axis::Sigma, "1/σ".into(), Some(0.5));
        assert_eq!(y_labels(&report).unwrap()[0], "K(t, t+0.5) = E‖ε(x, t) − ε(x, t+0.5)‖₂/√d / |Δσ|  [1/σ]");
    }

    #[test]
    fn both_quantities_are_named() {
        let label = &y_labels(&synthetic::both_quantities()).unwrap()[0];
        assert!(label.contains("K(t, t+1) = ") && label.contains("D(t) = E‖∂ε/∂t‖₂"), "{label}");
    }

    #[test]
    fn different_units_do_not_share_an_axis() {
        let mut report = synthetic::shared_pair();
        report.models[1].curves[0].unit = "1/σ".into();
        assert!(y_labels(&report).unwrap_err().to_string().contains("cannot stand on one axis"));
    }
}
