//! How often intervals hold the truth, and what is said where samples are too few for them.

mod common;

use common::{clear, fresh, means, report, succeed};
use ndarray::Array2;
use serde_json::Value;

/// ‖x‖ of a few dimensions is skewed, and control variates explain most of it but not along a straight line.
const DATA: &str = "gaussian:mean=0.3,std=0.5,dim=4";

fn points(report: &Value) -> &[Value] {
    report["models"][0]["curves"][0]["points"].as_array().unwrap()
}

/// Against the closed form at every timestep, whose samples are independent of the others'.
#[test]
fn intervals_hold_closed_forms_as_often_as_they_say() {
    let (folder, out) = fresh("out");
    let common = ["--timesteps", "0..999", "--out", "out", "--quiet"];
    succeed(folder.path(), &[&["theory", "--data", DATA], &common[..]].concat());
    let exact = means(&report(&out), 0);
    let ideal = format!("ideal:{DATA}");
    // Without control variates, with them, and where the samples are counted by what they show.
    for wanted in [["--samples", "16"], ["--samples", "24"], ["--rel-error", "0.03"]] {
        clear(folder.path());
        succeed(folder.path(), &[&["measure", &ideal], &wanted[..], &common[..]].concat());
        let report = report(&out);
        let (mut held, mut bias) = (0, 0.0);
        assert_eq!((points(&report).len(), exact.len()), (999, 999));
        for (point, (t, exact)) in points(&report).iter().zip(&exact) {
            let [mean, low, high] = ["mean", "ci_low", "ci_high"].map(|key| point[key].as_f64().unwrap());
            assert_eq!(point["timestep"].as_f64(), Some(*t));
            held += u32::from(low <= *exact && *exact <= high);
            bias += (mean / exact - 1.0) / 999.0;
        }
        // 95 % of 999 is 949, with a standard deviation of 7.
        assert!((930..=975).contains(&held), "{wanted:?}: {held}");
        assert!(bias.abs() < 0.006, "{wanted:?}: {bias}");
    }
}

/// One row of sixteen is two hundred times as large: as many samples hold it once, or not at all, and it is most of the mean.
#[test]
fn too_few_samples_of_skewed_norms_are_warned_about_with_a_number_that_does() {
    let (folder, out) = fresh("out");
    let rows = Array2::from_shape_fn((16, 4), |(i, _)| if i == 7 { 20.0f32 } else { 0.1 });
    ndarray_npy::write_npy(folder.path().join("rows.npy"), &rows).unwrap();
    let skewed = |samples: &str| -> Option<Value> {
        clear(folder.path());
        let run = ["measure", "ideal:gaussian:mean=0,std=0.5,dim=4", "--data", "rows.npy", "--samples", samples];
        succeed(folder.path(), &[&run[..], &["--timesteps", "0..20", "--out", "out", "--quiet"]].concat());
        report(&out)["warnings"].as_array().unwrap().iter().find(|warning| warning["kind"] == "skewed").cloned()
    };
    let warning = skewed("16").unwrap();
    // Where it was drawn at all.
    assert!((4..=14).contains(&warning["timesteps"].as_array().unwrap().len()), "{warning}");
    let wanted = warning["samples"].as_u64().unwrap();
    assert!((100..=200).contains(&wanted), "{warning}");
    assert_eq!(skewed(&wanted.to_string()), None);
}
