//! The Lipschitz curve of a checkpoint.
//!
//! ```console
//! $ cargo run --example measure_checkpoint -- model.pt
//! ```

use lipscope::prelude::*;

fn main() -> Result<()> {
    let checkpoint = std::env::args().nth(1).unwrap_or_else(|| "ideal:digits".into());
    let options = MeasureOptions {
        timesteps: "0,1,2,5,10,20,50,100,200,500".parse()?,
        samples: Some(32),
        ..MeasureOptions::default()
    };
    let measurement =
        Measurement::of_checkpoint(&checkpoint, None, &options, &Overrides::default(), &Setup::default())?;
    // `()` watches in silence, and without a store nothing is written.
    let report = measurement.run(None, &())?;
    println!("{}", curve_table(&report, 100));
    println!("{}", reading(&report));
    Ok(())
}
