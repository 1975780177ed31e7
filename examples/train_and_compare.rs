//! Trains DDPM and E-TSDM on the embedded digits, compares them on identical x_t, and draws the figure.
//!
//! ```console
//! $ cargo run --example train_and_compare -- 200 out
//! ```

use lipscope::prelude::*;
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let steps = arguments.next().and_then(|steps| steps.parse().ok()).unwrap_or(200);
    let out = PathBuf::from(arguments.next().unwrap_or_else(|| "lipscope-out/example".into()));
    let mut checkpoints = Vec::new();
    for variant in ["ddpm", "e-tsdm"] {
        let args = TrainArgs { steps, batch: 32, out: Some(out.join(variant)), ..TrainArgs::of(variant) };
        let done = Job::new(&args, &Setup::default())?.run(&())?;
        checkpoints.extend(done.files.into_iter().map(|file| file.display().to_string()));
    }
    let labels = ["DDPM".to_string(), "E-TSDM".to_string()];
    let options = MeasureOptions {
        data: DataOptions { source: Some("digits".parse()?), ..DataOptions::default() },
        timesteps: "0..101".parse()?,
        samples: Some(8),
        ..MeasureOptions::default()
    };
    let (overrides, setup) = (Overrides::default(), Setup::default());
    let measurement = Measurement::of_checkpoints(&checkpoints, &labels, &options, &overrides, &setup)?;
    let folder = measurement.folder(Some(Path::new(&out.join("compare"))));
    let mut store = Store::open(&folder, &measurement.plan().to_json()?)?;
    let report = measurement.run(Some(&mut store), &())?;
    store.publish(&files(&report, &[FigureFormat::Svg])?)?;
    println!("{}", comparison_table(&report, 100));
    println!("{}\nthe figure: {}", reading(&report), store.folder().join("lipschitz.svg").display());
    Ok(())
}
