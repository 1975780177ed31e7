//! The words and symbols on the axes: quantity, norm, denominator and unit.

use super::series::quantities;
use crate::error::{Error, Result};
use crate::report::{Curve, Report, letter};

/// y labels from the most explicit to the shortest; the page takes the first that fits.
pub(super) fn y_labels(report: &Report) -> Result<Vec<String>> {
    let curves: Vec<&Curve> = report.models.iter().flat_map(|m| &m.curves).collect();
    let Some(first) = curves.first() else {
        return Ok(vec![String::new()]);
    };
    if let Some(other) = curves.iter().find(|c| (&c.unit, &c.norm, &c.axis) != (&first.unit, &first.norm, &first.axis))
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
    let names: Vec<(String, String)> = quantities(report).into_iter().map(|q| definition(q, &curves)).collect();
    let long: Vec<String> = names.iter().map(|(name, formula)| format!("{name} = {formula}")).collect();
    let short: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    Ok(vec![
        format!("{}  [{unit}]", long.join(",  ")),
        format!("Lipschitz estimate {}  [{unit}]", short.join(", ")),
        format!("{}  [{unit}]", short.join(", ")),
    ])
}

/// Name and formula of a quantity, such as `K(t, t+1)` and `E‖ε(x, t) − ε(x, t+1)‖₂`.
fn definition(quantity: &str, curves: &[&Curve]) -> (String, String) {
    let of_it: Vec<&Curve> = curves.iter().copied().filter(|c| c.quantity == quantity).collect();
    let (norm, axis) = of_it.first().map_or(("l2", "step"), |c| (c.norm.as_str(), c.axis.as_str()));
    let norm = if norm == "rms" { "/√d" } else { "" };
    if quantity == "spatial" {
        return (format!("{}(t)", letter(quantity)), "E‖∂ε/∂x‖₂".into());
    }
    if quantity == "derivative" || quantity == "path" {
        let variable = match axis {
            "unit" => "(t/T)",
            "sigma" => "σ",
            "log-snr" => "λ",
            _ => "t",
        };
        let rate =
            if quantity == "path" { format!("dε(x(t), t)/d{variable}") } else { format!("∂ε/∂{variable}") };
        return (format!("{}(t)", letter(quantity)), format!("E‖{rate}‖₂{norm}"));
    }
    let step = of_it.first().and_then(|c| c.dt);
    let next = match step {
        Some(dt) if of_it.iter().all(|c| c.dt == step) => format!("t+{dt}"),
        _ => "t′".into(),
    };
    let over = match axis {
        "unit" => " / Δ(t/T)",
        "sigma" => " / |Δσ|",
        "log-snr" => " / |Δλ|",
        _ if step == Some(1.0) => "",
        _ => " / Δt",
    };
    (format!("K(t, {next})"), format!("E‖ε(x, t) − ε(x, {next})‖₂{norm}{over}"))
}

/// What the figure is, in one sentence for readers who cannot see it.
pub(super) fn description(report: &Report) -> String {
    let labels: Vec<&str> = report.models.iter().map(|m| m.label.as_str()).collect();
    let what = y_labels(report).ok().and_then(|l| l.into_iter().nth(1)).unwrap_or_default();
    format!("{what} over the timestep t on a logarithmic axis, for {}.", labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn labels_say_quantity_norm_axis_and_unit() {
        let mut report = synthetic::ddpm();
        assert_eq!(y_labels(&report).unwrap()[0], "K(t, t+1) = E‖ε(x, t) − ε(x, t+1)‖₂  [1/step]");
        let curve = &mut report.models[0].curves[0];
        (curve.norm, curve.axis, curve.unit, curve.dt) = ("rms".into(), "sigma".into(), "1/σ".into(), Some(0.5));
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
