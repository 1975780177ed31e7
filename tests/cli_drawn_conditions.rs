//! Conditions that differ from sample to sample: drawn with the data, or random; and several noises for each of its rows.
//!
//! tests/fixtures/torchscript/observed.pt: f(x, t, obs, eta) = (x (1 + obs) + eta) t/100, so that for one sample
//! K(t, t + 1) = ‖x (1 + obs) + eta‖/100 at every t.

mod common;

use common::{clear, embeddings, fixture, refuse, report, succeed};
use serde_json::Value;
use std::path::Path;
use tch::{Kind, Tensor};

const OBSERVATIONS: [f32; 3] = [0.0, 1.0, 3.0];
/// E‖z‖ of two standard normal numbers, √(π/2).
const RAYLEIGH: f64 = 1.2533141373155003;

/// Three rows of actions at the origin, with an observation each: x_t = σ ε.
fn demonstrations(folder: &Path) {
    let action = Tensor::zeros([3, 2], (Kind::Float, tch::Device::Cpu));
    let obs = Tensor::from_slice(&OBSERVATIONS).view([3, 1]);
    let prompts = obs.view([3, 1, 1]).expand([3, 5, 3], false).contiguous();
    let arrays = [("action", action), ("obs", obs), ("prompts", prompts)];
    Tensor::write_safetensors(&arrays, folder.join("demos.safetensors")).unwrap();
    embeddings(&folder.join("none.npy"), 0.0, "(1, 2)", 2);
    embeddings(&folder.join("zero.npy"), 0.0, "(1, 1)", 1);
}

/// The points of the curve at t = 10 and 200.
fn measure(folder: &Path, inputs: &str, more: &[&str]) -> Vec<Value> {
    let module = fixture("torchscript/observed.pt");
    let plan = ["--data", "demos.safetensors#action", "--timesteps", "10,200", "--out", "out", "--quiet"];
    clear(folder);
    succeed(folder, &[&["measure", &module, "--inputs", inputs], &plan[..], more].concat());
    report(&folder.join("out"))["models"][0]["curves"][0]["points"].as_array().unwrap().clone()
}

fn number(point: &Value, name: &str) -> f64 {
    point[name].as_f64().unwrap()
}

/// E‖x_t (1 + obs)‖/100 with x_t = σ ε.
fn expected(point: &Value, factor: f64) -> f64 {
    factor * number(point, "sigma") * RAYLEIGH / 100.0
}

#[test]
fn quantiles_are_those_of_rows_and_the_largest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    demonstrations(here);
    // One seed in about twenty would have the mean of 64 rows outside of its interval.
    let asked = ["--samples", "4096", "--noises", "64", "--seed", "1"];
    for point in measure(here, "x,t,obs=@obs,eta=none.npy", &asked) {
        assert_eq!((number(&point, "samples"), number(&point, "max_row")), (64.0, 2.0));
        // Means over 64 noises have a spread of 0.52/8 of theirs; the most of some twenty are three spreads above.
        let [low, middle, high, max] = ["p05", "p50", "p95", "max"].map(|name| number(&point, name));
        for (value, factor) in [(low, 1.0), (high, 4.0), (max, 4.0)] {
            assert!((value / expected(&point, factor) - 1.0).abs() < 0.25, "{value} {factor} {point}");
        }
        assert!(low < middle && middle < high && high <= max, "{point}");
        let rows = OBSERVATIONS.iter().map(|obs| f64::from(*obs) + 1.0).sum::<f64>() / 3.0;
        let (low, high) = (number(&point, "ci_low"), number(&point, "ci_high"));
        let truth = expected(&point, rows);
        assert!(low < truth && truth < high && high - low < truth, "{low} {truth} {high}");
    }
}

/// The same samples with an observation of 0 for all: a row's number is 1 + its observation times that.
#[test]
fn a_sample_has_the_observation_of_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    demonstrations(here);
    // One row at a time, by the limit on the data.
    for (limit, factor) in [("1", 1.0), ("3", 0.0)] {
        let asked = ["--samples", "64", "--data-limit", limit];
        let drawn = measure(here, "x,t,obs=@obs,eta=none.npy", &asked);
        let same = measure(here, "x,t,obs=zero.npy,eta=none.npy", &asked);
        for (drawn, same) in drawn.iter().zip(&same) {
            let ratio = number(drawn, "mean") / number(same, "mean");
            // Float32 differences of numbers 200 times as large.
            let right = if factor > 0.0 { (ratio - factor).abs() < 1e-4 } else { (1.5..4.0).contains(&ratio) };
            assert!(right, "{limit}: {ratio}");
        }
    }
}

/// Random inputs are the same at t and t′: drawn anew, they would add √2 (t/100) ‖eta‖ to the difference.
#[test]
fn random_inputs_are_held_while_t_moves() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    demonstrations(here);
    for inputs in ["x,t,obs=zero.npy,eta=normal", "x,t,obs=zero.npy,eta=normal:2"] {
        for point in measure(here, inputs, &["--samples", "1024"]) {
            let truth = (1.0 + number(&point, "sigma").powi(2)).sqrt() * RAYLEIGH / 100.0;
            // The relative spread is 0.52/√1024.
            assert!((number(&point, "mean") / truth - 1.0).abs() < 4.0 * 0.52 / 32.0, "{point} {truth}");
        }
    }
    // The mean over sixteen draws has a quarter of the spread of one.
    for point in measure(here, "x,t,obs=zero.npy,eta=normal", &["--samples", "1024", "--average", "eta=16"]) {
        let truth = (1.0 / 16.0 + number(&point, "sigma").powi(2)).sqrt() * RAYLEIGH / 100.0;
        assert!((number(&point, "mean") / truth - 1.0).abs() < 4.0 * 0.52 / 32.0, "{point} {truth}");
    }
    let report = report(&here.join("out"));
    let model = &report["models"][0];
    // Two times, a thousand samples, two timesteps, sixteen draws each.
    assert_eq!(model["spent"]["function_evaluations"], 2 * 1024 * 2 * 16);
    let asked = model["model"]["asked"].to_string();
    assert!(asked.contains("`eta` [2] normal, drawn 16 times for each sample and averaged over"), "{asked}");
}

#[test]
fn guidance_replaces_the_inputs_that_have_a_word_for_no_condition() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    demonstrations(here);
    let inputs = "x,t,obs=@obs,eta=none.npy";
    let with = measure(here, inputs, &["--samples", "16"]);
    let without = measure(here, "x,t,obs=zero.npy,eta=none.npy", &["--samples", "16"]);
    let guided = measure(here, inputs, &["--samples", "16", "--guidance", "0.5", "--null", "obs=zero.npy"]);
    for ((with, without), guided) in with.iter().zip(&without).zip(&guided) {
        // All outputs are multiples of one x, and so few samples are averaged plainly: 1.5 f(c) − 0.5 f(∅).
        let truth = 1.5 * number(with, "mean") - 0.5 * number(without, "mean");
        assert!((number(guided, "mean") / truth - 1.0).abs() < 1e-4, "{guided} {truth}");
    }
}

#[test]
fn embeddings_are_drawn_with_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    demonstrations(here);
    let module = fixture("torchscript/conditional.pt");
    let images = Tensor::zeros([3, 1, 8, 8], (Kind::Float, tch::Device::Cpu));
    let prompts = Tensor::zeros([3, 5, 3], (Kind::Float, tch::Device::Cpu));
    Tensor::write_safetensors(&[("images", images), ("prompts", prompts)], here.join("pictures.safetensors")).unwrap();
    let asked = ["--inputs", "x,context,t,class,strength=0.5", "--output", "eps", "--class", "1"];
    let plan =
        ["--data", "pictures.safetensors#images", "--timesteps", "10", "--samples", "8", "--out", "out", "--quiet"];
    for context in ["@prompts", "@pictures.safetensors#prompts"] {
        clear(here);
        succeed(here, &[&["measure", &module], &asked[..], &plan, &["--context", context]].concat());
        let asked = report(&here.join("out"))["models"][0]["model"]["asked"].to_string();
        assert!(asked.contains("embeddings for each row of the data [5, 3]"), "{asked}");
    }
}

/// An observation c ~ U(−1, 1) and an action from (N(c, 0.01) + N(−c, 0.01))/2: E K over both, by quadrature, is
/// 0.0403586402 at t = 2, 0.0143130309 at t = 5 and 0.0325570363 at t = 10 of the 100 steps of the cosine schedule.
#[test]
fn a_policy_changes_as_its_closed_form_given_the_observation_of_each_row() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let count = 5000;
    let c = (Tensor::arange(count, (Kind::Double, tch::Device::Cpu)) + 0.5) * (2.0 / count as f64) - 1.0;
    // Rows in an order that has nothing to do with c: sign and offset of an action come from irrational turns.
    let turns = |by: f64| ((Tensor::arange(count, (Kind::Double, tch::Device::Cpu)) + 0.5) * by).frac();
    let normal = (turns(0.618033988749895) * 2.0 - 1.0).erfinv() * 2f64.sqrt();
    let sign = turns(std::f64::consts::SQRT_2).ge(0.5).to_kind(Kind::Double) * 2.0 - 1.0;
    let action = (&c * sign + normal * 0.1).to_kind(Kind::Float).view([count, 1]);
    let arrays = [("action", action), ("obs", c.to_kind(Kind::Float).view([count, 1]))];
    Tensor::write_safetensors(&arrays, here.join("demos.safetensors")).unwrap();
    let module = fixture("torchscript/policy.pt");
    let asked = ["measure", &module, "--inputs", "x,t,c=@obs", "--data", "demos.safetensors#action", "--scale", "none"];
    let plan =
        ["--schedule", "cosine:timesteps=100", "--timesteps", "2,5,10", "--samples", "4096", "--out", "out", "--quiet"];
    succeed(here, &[&asked[..], &plan, &["--dtype", "f64"]].concat());
    let report = report(&here.join("out"));
    let points = report["models"][0]["curves"][0]["points"].as_array().unwrap();
    for (point, truth) in points.iter().zip([0.0403586402073, 0.0143130308717, 0.0325570362923]) {
        let errors = (number(point, "mean") - truth) / number(point, "std_error");
        assert!(errors.abs() < 4.0, "{point} {truth}");
    }
}

/// x₀ | y ~ N(y, 0.25²) with y = ±1: by quadrature, K of (1 + w) ε(y) − w ε(∅) at t = 100, 200, 500 of the linear schedule, with x_t
/// of y = 1, and the size of ε(y) − ε(∅).
#[test]
fn guidance_between_two_classes_is_its_closed_form() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let middle = (Tensor::arange(2000, (Kind::Double, tch::Device::Cpu)) + 0.5) / 2000.0;
    let z = ((middle * 2.0 - 1.0).erfinv() * (2f64.sqrt() * 0.25) + 1.0).to_kind(Kind::Float).view([2000, 1]);
    let y = Tensor::ones([2000, 1], (Kind::Float, tch::Device::Cpu));
    Tensor::write_safetensors(&[("z", z), ("y", y)], here.join("two.safetensors")).unwrap();
    embeddings(&here.join("null.npy"), 0.0, "(1, 1)", 1);
    let module = fixture("torchscript/two_classes.pt");
    let run = |more: &[&str]| -> Vec<Vec<Value>> {
        let asked = ["measure", &module, "--inputs", "x,t,y=@y", "--null", "y=null.npy", "--data", "two.safetensors#z"];
        let plan = ["--timesteps", "100,200,500", "--samples", "4096", "--dtype", "f64", "--out", "out", "--quiet"];
        clear(here);
        succeed(here, &[&asked[..], &plan, more].concat());
        let curves = report(&here.join("out"))["models"][0]["curves"].as_array().unwrap().clone();
        curves.iter().map(|curve| curve["points"].as_array().unwrap().clone()).collect()
    };
    let scales = [
        [0.00218187464792, 0.00293255359674, 0.00145931577669],
        [0.00198976455031, 0.00306187351877, 0.00279102212262],
        [0.00267947149293, 0.00690730556741, 0.00545957220506],
        [0.00493492406914, 0.017734709518, 0.0114827562982],
    ];
    let size = [[0.0530724338893, 0.344637756296, 0.266476800781]];
    let guided = run(&["--guidance", "0,1,3,7.5"]);
    let sizes = run(&["--of", "guidance", "--quantity", "size"]);
    assert_eq!((guided.len(), sizes.len()), (4, 1));
    for (points, truths) in guided.iter().zip(scales).chain(sizes.iter().zip(size)) {
        for (point, truth) in points.iter().zip(truths) {
            // For w = 0 the covariates explain all, and what is left is that 2,000 quantiles are not quite the law.
            let off = (number(point, "mean") - truth).abs();
            assert!(off < 4.0 * number(point, "std_error") + 1e-4 * truth, "{point} {truth}");
        }
    }
}

/// Three components as 1,000 quantiles of each, by their weights.
fn mixture(folder: &Path) {
    let normal = |count: i64| {
        let middle = (Tensor::arange(count, (Kind::Double, tch::Device::Cpu)) + 0.5) / count as f64;
        (middle * 2.0 - 1.0).erfinv() * 2f64.sqrt()
    };
    let components = [(500, -1.0, 0.1), (300, 0.2, 0.2), (200, 1.2, 0.15)];
    let x0: Vec<Tensor> = components.iter().map(|&(count, mean, std)| normal(count) * std + mean).collect();
    let x0 = Tensor::cat(&x0, 0).to_kind(Kind::Float).view([1000, 1]);
    Tensor::write_safetensors(&[("x0", x0)], folder.join("mixture.safetensors")).unwrap();
}

/// The component of a three-component mixture is a random input. Averaged over it, ε is that of the mixture, whose K by
/// quadrature is 0.0177618334 at t = 5 and 0.0027248621 at t = 200.
#[test]
fn averaged_over_its_latent_a_soft_mixture_is_the_mixture() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    mixture(here);
    let module = fixture("torchscript/soft_mixture.pt");
    let asked =
        ["measure", &module, "--inputs", "x,t,eta=normal", "--average", "eta=512", "--data", "mixture.safetensors"];
    let plan =
        ["--timesteps", "5,200", "--samples", "1024", "--batch", "1024", "--dtype", "f64", "--out", "out", "--quiet"];
    succeed(here, &[&asked[..], &plan].concat());
    let report = report(&here.join("out"));
    let points = report["models"][0]["curves"][0]["points"].as_array().unwrap();
    for (point, truth) in points.iter().zip([0.0177618334232, 0.00272486212346]) {
        // Besides chance: a share |Δp| of the 512 draws changes its component, and what is left of that noise is below 5 %.
        let off = (number(point, "mean") - truth).abs();
        assert!(off < 4.0 * number(point, "std_error") + 0.05 * truth, "{point} {truth}");
    }
}

/// The component chosen by η at s, and ε given it at t: with s held where x was drawn, one draw gives K of a fixed component, and
/// the mean over draws that of weights that are frozen; both by quadrature.
#[test]
fn the_law_of_a_latent_is_frozen_by_a_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    mixture(here);
    let module = fixture("torchscript/soft_mixture_two_times.pt");
    let asked = ["measure", &module, "--inputs", "x,t,eta=normal,s=time", "--data", "mixture.safetensors"];
    let plan = ["--timesteps", "5,50,100,200,500", "--samples", "1024", "--batch", "1024", "--dtype", "f64"];
    let fixed = [0.0179114692786, 0.00414206905555, 0.00482365360363, 0.00333933210306, 0.00120225413099];
    let frozen = [0.017770461666, 0.00414204293828, 0.00338428174479, 0.00126143155063, 0.000295457097954];
    // Of 512 draws an averaged weight is off by 1/√512 of its spread, which adds a per cent or two to a mean of norms.
    for (more, truths, noise) in [(&[][..], fixed, 0.0), (&["--average", "eta=512"][..], frozen, 0.04)] {
        clear(here);
        succeed(here, &[&asked[..], &plan, &["--out", "out", "--quiet"], more].concat());
        let report = report(&here.join("out"));
        let points = report["models"][0]["curves"][0]["points"].as_array().unwrap();
        assert_eq!(points.len(), truths.len());
        for (point, truth) in points.iter().zip(truths) {
            let off = (number(point, "mean") - truth).abs();
            assert!(off < 4.0 * number(point, "std_error") + noise * truth, "{more:?} {point} {truth}");
        }
    }
}

/// E|ε(x, t, η) − ε(x, t, η′)| over two draws of the component, by quadrature.
#[test]
fn the_spread_of_a_soft_mixture_is_its_closed_form() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    mixture(here);
    let module = fixture("torchscript/soft_mixture.pt");
    let asked = ["measure", &module, "--inputs", "x,t,eta=normal", "--of", "spread", "--data", "mixture.safetensors"];
    let plan =
        ["--timesteps", "5,50,100,200,500,900", "--samples", "4096", "--dtype", "f64", "--out", "out", "--quiet"];
    succeed(here, &[&asked[..], &plan, &["--quantity", "size", "--plot=svg"]].concat());
    let report = report(&here.join("out"));
    let model = &report["models"][0];
    let points = model["curves"][0]["points"].as_array().unwrap();
    let truths = [0.00187533392095, 0.0703277923629, 0.341230645818, 0.58787499605, 0.25412418911, 0.0151235257086];
    assert_eq!(points.len(), truths.len());
    for (point, truth) in points.iter().zip(truths) {
        let off = (number(point, "mean") - truth).abs();
        assert!(off < 4.0 * number(point, "std_error"), "{point} {truth}");
    }
    // Six timesteps, two draws each.
    assert_eq!(model["spent"]["function_evaluations"], 2 * 4096 * 6);
    assert_eq!((&model["curves"][0]["of"], &model["curves"][0]["unit"]), (&"spread".into(), &"1".into()));
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    demonstrations(here);
    embeddings(&here.join("two.npy"), 0.0, "(2, 1)", 2);
    let module = fixture("torchscript/observed.pt");
    let with = |inputs: &'static str, more: &[&'static str]| {
        let data = ["--data", "demos.safetensors#action"];
        [&["measure", module.as_str(), "--inputs", inputs], &data[..], more].concat()
    };
    refuse(here, &with("x,t,obs=@nothing,eta=normal", &[]), &["no array `nothing`"]);
    refuse(here, &with("x,t,obs=@two.npy,eta=normal", &[]), &["it has 2 rows", "the data has 3"]);
    refuse(here, &with("x,t,obs=@obs,eta=normal:2x", &[]), &["`2x` is no shape"]);
    refuse(here, &with("x,t,obs=@obs,eta=normal", &["--noises", "3"]), &["--noises", "divisor of --samples"]);
    refuse(here, &with("x,t,obs=@obs,eta=normal", &["--noises", "0"]), &["--noises"]);
    refuse(here, &with("x,t,obs=@obs,eta=normal", &["--guidance", "1", "--null", "y=two.npy"]), &["--null", "(obs)"]);
    refuse(here, &with("x,t,obs=@obs,eta=normal", &["--guidance", "1"]), &["--null NAME=FILE"]);
    refuse(here, &with("x,t,obs=@obs,eta=normal", &["--average", "obs=4"]), &["--average", "a random input"]);
    refuse(here, &with("x,t,obs=@obs,eta=normal", &["--average", "eta=1"]), &["--average", "NAME=M"]);
    refuse(here, &with("x,t,obs=@obs,eta=none.npy", &["--of", "spread"]), &["--of spread", "no random input"]);
    let averaged = ["--of", "spread", "--average", "eta=4"];
    refuse(here, &with("x,t,obs=@obs,eta=normal", &averaged), &["two draws", "Leave out --average"]);
    let native = fixture("torchscript/pipeline");
    refuse(here, &["measure", &native, "--data", "digits", "--of", "spread"], &["no random input"]);
    refuse(here, &["theory", "--data", "digits", "--of", "spread"], &["--of spread with theory"]);
    let moons = ["measure", &module, "--inputs", "x,t,obs=@obs,eta=normal", "--data", "moons"];
    refuse(here, &moons, &["--inputs", "no file of arrays"]);
    let sample = ["sample", &module, "--inputs", "x,t,obs=zero.npy,eta=normal:2", "--shape", "2", "--samples", "1"];
    refuse(here, &sample, &["`eta` is random"]);
}
