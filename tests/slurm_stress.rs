//! A thousand units over eight jobs of a real Slurm, while tasks are killed, cancelled, requeued and done a second time beside
//! themselves, and a node is lost. Takes minutes, and so is asked for:
//!
//!     cargo test --test slurm_stress -- --ignored --nocapture
//!
//! `LIPSCOPE_SEED=N` chooses other disasters, `LIPSCOPE_SAMPLES=N` longer work.
#![cfg(target_os = "linux")]

mod common;

use common::cluster::{Cluster, is_there};
use common::{fixture, names, outcome, report};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Random numbers of Knuth's MMIX.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_units_survive_everything() {
    if !is_there() {
        return;
    }
    let samples = number("LIPSCOPE_SAMPLES", 32).to_string();
    let mut dice = Dice(number("LIPSCOPE_SEED", 1));
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    let here = folder.path();
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--samples", &samples, "--batch", "8", "--timesteps", "0..1000", "--quantity", "derivative"];
    let measure = [&["measure", &pipeline, "--data", "digits", "--threads", "1", "--quiet"], &of[..]].concat();

    let began = Instant::now();
    assert!(cluster.lipscope(here, &[&measure[..], &["--out", "whole"]].concat()).status().unwrap().success());
    let alone = began.elapsed();

    let slurm = ["--out", "out", "--executor", "slurm", "--shards", "8", "--attempts", "50"];
    let (began, mut rounds) = (Instant::now(), 0);
    let (mut disasters, mut beside): ([usize; 5], Vec<Child>) = ([0; 5], Vec::new());
    let mut is_lost = false;
    loop {
        rounds += 1;
        let mut command = cluster.lipscope(here, &[&measure[..], &slurm].concat());
        let mut client = command.stderr(Stdio::piped()).spawn().unwrap();
        let status = loop {
            if let Some(status) = client.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(1000));
            let states = cluster.states();
            let running: Vec<&str> =
                states.iter().filter(|s| s.contains(" RUNNING ")).filter_map(|s| s.split(' ').next()).collect();
            // Disasters get rarer, so that there is an end.
            let total: usize = disasters.iter().sum();
            if running.is_empty() || dice.roll(1 + total / 4) > 0 {
                continue;
            }
            let task = running[dice.roll(running.len())];
            let kind = dice.roll(if is_lost { 4 } else { 5 });
            disasters[kind] += 1;
            // A task may have ended by now.
            let try_to = |program: &str, words: &[&str]| drop(cluster.command(program).args(words).output());
            match kind {
                0 => try_to("scontrol", &["requeue", task]),
                1 => try_to("scancel", &["--batch", "--signal=KILL", task]),
                2 => try_to("scancel", &[task]),
                3 => {
                    let shard = format!("{}/8", dice.roll(8));
                    let words = [&measure[..], &["--out", "out", "--shard", &shard]].concat();
                    beside.push(cluster.lipscope(here, &words).stderr(Stdio::null()).spawn().unwrap());
                }
                _ => {
                    cluster.lose("n2");
                    is_lost = true;
                }
            }
        };
        if status.success() {
            break;
        }
        let mut said = String::new();
        std::io::Read::read_to_string(&mut client.stderr.take().unwrap(), &mut said).unwrap();
        assert!(said.contains("the work ended with units missing"), "{said}");
        assert!(rounds < 20, "there is no end");
    }
    let spread = began.elapsed();
    for mut child in beside {
        let _ = child.wait();
    }
    assert!(outcome(&here.join("out")) == outcome(&here.join("whole")), "the numbers are others");
    let [requeued, killed, cancelled, doubled, lost] = disasters;
    let submissions = names(&here.join("out/submissions")).len();
    let parts = names(&here.join("out/parts")).len();
    let makers = &report(&here.join("out"))["provenance"]["parts"];
    println!(
        "one process {alone:.1?}; eight tasks {spread:.1?}, {submissions} submissions, {rounds} commands, {parts} parts"
    );
    println!("requeued {requeued}, killed {killed}, cancelled {cancelled}, done beside {doubled}, nodes lost {lost}");
    println!("{makers}");
}
