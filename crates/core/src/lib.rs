//! The part of lipscope that needs no libtorch: the diffusion's mathematics in float64, the files on disk, the arguments as
//! they are typed, and reports with everything that is rendered from them.
//!
//! The `lipscope` crate re-exports these modules, and adds networks and the numbers measured on them.
//!
//! A finished report, read back, put into words and rendered:
//!
//! ```
//! use lipscope_core::report::{self, ExportFormat, Finished};
//! use lipscope_core::suggest::MeasuredCurve;
//!
//! # fn main() -> lipscope_core::error::Result<()> {
//! # let point = |t: usize, mean: f64| serde_json::json!({
//! #     "timestep": t, "t_next": t + 1, "alpha": 1.0, "sigma": 0.01 * (t + 1) as f64, "log_snr": null, "samples": 64,
//! #     "mean": mean, "std_error": null, "ci_low": null, "ci_high": null, "p05": null, "p50": null, "p95": null,
//! #     "max": null, "non_finite": 0 });
//! # let points: Vec<_> = [0.8, 0.4, 0.2, 0.1, 0.1].iter().enumerate().map(|(t, mean)| point(t, *mean)).collect();
//! # let written = serde_json::json!({
//! #     "schema_version": 1, "complete": true, "command": "measure", "comparison": [], "warnings": [],
//! #     "provenance": { "plan": {}, "versions": {}, "device": "cpu", "threads": 1,
//! #         "began": "2026-01-01T00:00:00Z", "wall_seconds": 1.0 },
//! #     "models": [{ "label": "ddpm", "summary": [], "spent": { "function_evaluations": 640, "wall_seconds": 1.0 },
//! #         "model": { "source": "ddpm.pt", "sha256": null, "format": "torchscript", "architecture": "mlp",
//! #             "parameters": 100, "sample_shape": [1], "prediction": "epsilon", "schedule": "linear",
//! #             "timesteps": 1000, "conditioning": "step", "boundaries": [], "dtype": "f32" },
//! #         "curves": [{ "quantity": "secant", "estimator": "monte-carlo", "norm": "l2", "axis": "step", "unit": "1/step",
//! #             "dt": 1.0, "points": points }] }] });
//! # let folder = tempfile::tempdir().unwrap();
//! # let run = folder.path();
//! # std::fs::write(run.join("report.json"), written.to_string()).unwrap();
//! // `run` is the folder of a `lipscope measure`, or its report.json.
//! let file = Finished::file(run);
//! let curves = Finished::curves(&file)?;
//! println!("{}", report::curve_table(&curves, 100));
//!
//! // Where E-TSDM would cut [0, 4) in two: ε moves as far on either side.
//! let boundaries = MeasuredCurve::read(&curves, None)?.mass.equal_parts(0.0, 4.0, 2);
//! assert_eq!(boundaries.len(), 3);
//! assert!(boundaries[1] < 1.0, "half of the way lies before t = 1: {boundaries:?}");
//!
//! let files = report::export(&Finished::read(&file)?, Some("K near t = 0"), &[ExportFormat::Csv, ExportFormat::Html])?;
//! report::write_all(run, &files)?;
//! let csv = std::fs::read_to_string(run.join("curve.csv")).unwrap();
//! assert_eq!(csv.lines().count(), 6, "a head, and a row per timestep");
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod atomic;
pub mod attribution;
pub mod cli;
pub mod clock;
pub mod control_variates;
pub mod data;
pub mod device_choice;
pub mod error;
pub mod expectation;
pub mod learning_rate;
mod least_squares;
pub mod lipschitz_mass;
pub mod of;
pub mod options;
pub mod preconditioning;
pub mod prediction;
pub mod process;
pub mod python_json;
pub mod quantity;
pub mod random;
pub mod ratio;
pub mod refine;
pub mod report;
pub mod schedule;
pub mod singularity;
pub mod slurm;
pub mod stats;
pub mod store;
pub mod suggest;
pub mod tensor_file;
pub mod terminal;
pub mod time;
pub mod timestep_map;
pub mod timesteps;
pub mod variants;
pub mod weighting;
