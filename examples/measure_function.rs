//! The Lipschitz curve of a function f(x, t) of one's own: here the ideal ε-prediction of N(0, 1/4) data, written out.
//!
//! ```console
//! $ cargo run --example measure_function
//! ```

use lipscope::prelude::*;
use tch::Kind;

fn main() -> Result<()> {
    let named: NamedSchedule = "linear".parse()?;
    let schedule = named.schedule.clone();
    // ε*(x, t) = σ x/(α² s² + σ²) for data of variance s² (x: [B, 1], t: [B]).
    let gain = move |t: f64| {
        let (alpha, sigma) = (schedule.alpha(t), schedule.sigma(t));
        (sigma / (0.25 * alpha * alpha + sigma * sigma)) as f32
    };
    let model = Model::from_fn("my denoiser", &[1], named, Prediction::Epsilon, move |x, t| {
        let times: Vec<f64> = Vec::try_from(t.f_to_kind(Kind::Double)?)?;
        let gains: Vec<f32> = times.into_iter().map(&gain).collect();
        x.f_mul(&tch::Tensor::f_from_slice(&gains)?.f_view([-1, 1])?)
    });
    let data = CleanData::open(&"gaussian:mean=0,std=0.5,dim=1".parse()?, &DataOptions::default())?;
    let options = MeasureOptions { timesteps: "0,10,100,500".parse()?, ..MeasureOptions::default() };
    let report = Measurement::of_models(vec![model.boxed()], Some(data), &options, 0)?.run(None, &())?;
    println!("{}", curve_table(&report, 100));
    Ok(())
}
