//! Training by several processes: the steps of one, whoever takes them, and one message where a process fails.

mod common;

use common::{fresh, names, refuse};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A training of a small network on the digits, in one thread: sums over threads may be taken in another order.
const TRAIN: [[&str; 2]; 9] = [
    ["--variant", "e-tsdm"],
    ["--data", "digits"],
    ["--threads", "1"],
    ["--device", "cpu"],
    ["--batch", "12"],
    ["--warmup", "5"],
    ["--seed", "3"],
    ["--format", "safetensors"],
    ["--arch", "mlp:width=32,blocks=1"],
];

/// The command, where later flags replace earlier ones.
fn train<'a>(more: &[[&'a str; 2]]) -> Vec<&'a str> {
    let mut pairs: Vec<[&str; 2]> = Vec::new();
    for pair in TRAIN.iter().chain(more) {
        pairs.retain(|earlier| earlier[0] != pair[0]);
        pairs.push(*pair);
    }
    [&["train", "--flip"][..], &pairs.concat()].concat()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// lipscope with the variables of torchrun, or with none where `rank` is `None`.
fn start(folder: &Path, rank: Option<(usize, usize)>, port: u16, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SLURM_")) {
        command.env_remove(name);
    }
    if let Some((rank, of)) = rank {
        command.env("RANK", rank.to_string()).env("WORLD_SIZE", of.to_string());
        command
            .env("LOCAL_RANK", rank.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string());
    }
    command.spawn().unwrap()
}

/// Waits for all, two minutes at most.
fn wait(children: Vec<Child>) -> Vec<Output> {
    let until = Instant::now() + Duration::from_secs(120);
    let finish = |mut child: Child| {
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                child.kill().unwrap();
                let said = child.wait_with_output().unwrap();
                panic!("a rank does not end: {}", String::from_utf8_lossy(&said.stderr));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.wait_with_output().unwrap()
    };
    children.into_iter().map(finish).collect()
}

fn launch(folder: &Path, of: usize, arguments: &[&str]) -> Vec<Child> {
    let port = free_port();
    (0..of).map(|rank| start(folder, Some((rank, of)), port, arguments)).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Trains with `of` processes, all of which must succeed; rank 0 alone says something.
fn succeed(folder: &Path, of: usize, arguments: &[&str]) {
    let outputs =
        if of == 1 { wait(vec![start(folder, None, 0, arguments)]) } else { wait(launch(folder, of, arguments)) };
    for (rank, output) in outputs.iter().enumerate() {
        assert!(output.status.success(), "rank {rank} of {of}: {}", stderr(output));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.starts_with(|c: char| c.is_ascii_digit()), rank == 0, "rank {rank} of {of}: {said}");
        assert!(rank == 0 || said.is_empty() && output.stderr.is_empty(), "rank {rank}: {said}{}", stderr(output));
    }
}

/// All errors together must be one, which says all of `says`.
fn one_error(outputs: &[Output], says: &[&str]) -> String {
    let text: String = outputs.iter().map(stderr).collect();
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    assert!(says.iter().all(|words| errors[0].contains(words)), "{says:?}: {text}");
    assert!(!text.contains("panicked") && !text.contains("terminate called"), "{text}");
    text
}

/// Every number of the state, as float64, by tensor.
fn state(out: &Path) -> BTreeMap<String, Vec<f64>> {
    let bytes = std::fs::read(out.join("training.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |data: &[u8], width: usize| match width {
        8 => data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
        _ => data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect::<Vec<f64>>(),
    };
    let width =
        |view: &safetensors::tensor::TensorView| view.data().len() / view.shape().iter().product::<usize>().max(1);
    file.tensors().into_iter().map(|(name, view)| (name, numbers(view.data(), width(&view)))).collect()
}

/// Rows of train.csv without their last column, the images per second.
fn log(out: &Path) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(out.join("train.csv")).unwrap();
    let number = |field: &str| if field.is_empty() { -1.0 } else { field.parse().unwrap() };
    text.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().0.split(',').map(number).collect()).collect()
}

/// The largest relative difference of losses, and of the state: of weights, averages and moments by the largest of their
/// group.
fn differences(a: &Path, b: &Path) -> (f64, f64) {
    let (rows, others) = (log(a), log(b));
    assert_eq!(rows.len(), others.len());
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0f64, |a, b| if b.is_nan() { b } else { a.max(b) });
    let relative = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()) };
    let losses = most(&mut rows.iter().flatten().zip(others.iter().flatten()).map(relative));
    let (state, other) = (state(a), state(b));
    assert!(state.keys().eq(other.keys()) && state.len() > 10);
    let group = |name: &str| name.split('/').next().unwrap().to_string();
    let mut largest: BTreeMap<String, f64> = BTreeMap::new();
    for (name, numbers) in &state {
        let of_group = largest.entry(group(name)).or_default();
        *of_group = numbers.iter().fold(*of_group, |most, x| most.max(x.abs()));
    }
    let tensors = state.iter().zip(other.values()).map(|((name, a), b)| {
        assert_eq!(a.len(), b.len());
        most(&mut a.iter().zip(b).map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() / largest[&group(name)] }))
    });
    (losses, most(&mut tensors.into_iter()))
}

const FIFTY: [[&str; 2]; 3] = [["--steps", "50"], ["--log-every", "1"], ["--save-every", "25"]];

const UNET: [&str; 2] = ["--arch", "unet:channels=8-16,attention=4,head-dim=8"];

/// A UNet has weights that its output does not depend on: biases of convolutions in front of a norm over one channel, and of
/// attention's keys. Their gradient is rounding r, and a step of Adam moves them by rate · r / (r + 1e-8), differently in
/// every order of sums. In float64 r is 1e-16 and fifty steps are 1e-10 at most; in float32 each may be of the whole rate,
/// 2e-4, in either direction.
#[test]
fn several_processes_take_the_steps_of_one_in_float64() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // Five processes share parts of six: one of them takes two.
    for (name, more, worlds, tolerance) in [
        ("mlp", ["--accumulate", "2"], &[2, 5][..], 1e-12),
        ("unet", UNET, &[2], 1e-10),
        ("penalty", ["--variant", "penalty"], &[3], 1e-12),
    ] {
        let of = |out: &str| -> Vec<String> {
            let all = [&FIFTY[..], &[more, ["--dtype", "f64"], ["--out", out]]].concat();
            train(&all).into_iter().map(String::from).collect()
        };
        let run = |world: usize, out: &str| {
            let all = of(out);
            succeed(here, world, &all.iter().map(String::as_str).collect::<Vec<_>>());
        };
        run(1, name);
        for &world in worlds {
            let out = format!("{name}-{world}");
            run(world, &out);
            let (losses, state) = differences(&here.join(name), &here.join(&out));
            println!("{name}, {world} processes, float64: losses {losses:.1e}, state {state:.1e}");
            assert!(losses < 1e-12 && state < tolerance, "{name} {world}: {losses:e} {state:e}");
        }
    }
}

/// In float32 the order of sums changes the seventh digit of a gradient, and Adam divides by its size.
#[test]
fn several_processes_take_the_steps_of_one_in_float32() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (name, arch, tolerance) in [("mlp", ["--warmup", "5"], 1e-5), ("unet", UNET, 5e-3)] {
        let two = format!("{name}-2");
        succeed(here, 1, &train(&[&FIFTY[..], &[arch, ["--out", name]]].concat()));
        succeed(here, 2, &train(&[&FIFTY[..], &[arch, ["--out", &two]]].concat()));
        let (losses, state) = differences(&here.join(name), &here.join(&two));
        println!("{name}, 2 processes, float32: losses {losses:.1e}, state {state:.1e}");
        assert!(losses < 1e-5 && state < tolerance, "{losses:e} {state:e}");
    }
}

#[test]
fn another_number_of_processes_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let of = |steps: &'static str, out: &'static str| {
        train(&[["--dtype", "f64"], ["--log-every", "5"], ["--steps", steps], ["--out", out]])
    };
    succeed(here, 1, &of("50", "whole"));
    for (world, steps) in [(2, "20"), (1, "35"), (3, "50")] {
        succeed(here, world, &[&of(steps, "out")[..], &["--resume"]].concat());
    }
    let (losses, state) = differences(&here.join("whole"), &here.join("out"));
    assert!(losses < 1e-12 && state < 1e-12, "{losses:e} {state:e}");
}

/// Waits for a file.
fn appears(path: &Path, children: &mut [Child]) {
    let until = Instant::now() + Duration::from_secs(90);
    while !path.exists() {
        let ended = children.iter_mut().any(|child| child.try_wait().unwrap().is_some());
        assert!(!ended && Instant::now() < until, "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// A long training by two processes that has saved something.
fn long(here: &Path, out: &Path) -> Vec<Child> {
    let endless = train(&[["--steps", "1000000"], ["--save-every", "20"], ["--log-every", "20"], ["--out", "out"]]);
    let mut children = launch(here, 2, &endless);
    appears(&out.join("model.safetensors"), &mut children);
    children
}

/// One process goes on with what is there.
fn goes_on(here: &Path, out: &Path) {
    let step: u64 = log(out).last().unwrap()[0] as u64;
    let steps = (step + 40).to_string();
    succeed(here, 1, &train(&[["--steps", &steps], ["--log-every", "20"], ["--out", "out"]]));
    assert_eq!(log(out).last().unwrap()[0] as u64, step + 40);
}

#[test]
fn a_killed_process_ends_the_others_with_one_message() {
    for dead in [1usize, 0] {
        let (folder, out) = fresh("out");
        let mut children = long(folder.path(), &out);
        let process = children[dead].id().to_string();
        signal(&children[dead], "-KILL");
        let killed = Instant::now();
        children[dead].wait().unwrap();
        let left = wait(vec![children.remove(1 - dead)]);
        let seconds = killed.elapsed().as_secs_f64();
        println!("rank {dead} killed: the other ended after {seconds:.1} s with: {}", stderr(&left[0]));
        assert_eq!(left[0].status.code(), Some(2), "{}", stderr(&left[0]));
        let text = one_error(&left, &[&format!("rank {dead}"), "of 2 has ended", "start the same command again"]);
        // The store that knows where the ranks were ends with rank 0.
        assert!(dead == 0 || text.contains(&process), "{text}");
        assert!(seconds < 30.0, "{seconds}");
        goes_on(folder.path(), &out);
    }
}

#[test]
fn a_signal_to_one_stops_all_after_the_same_step() {
    let (folder, out) = fresh("out");
    let children = long(folder.path(), &out);
    signal(&children[1], "-TERM");
    let outputs = wait(children);
    let codes: Vec<Option<i32>> = outputs.iter().map(|output| output.status.code()).collect();
    assert_eq!(codes, [Some(130), Some(143)], "{}{}", stderr(&outputs[0]), stderr(&outputs[1]));
    let text = one_error(&outputs, &["interrupted", "is saved in out"]);
    let step: f64 = text.split("Step ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(stderr(&outputs[1]).is_empty());
    // State and step are of one another.
    let of_state = state(&out)["step"][0];
    assert_eq!(of_state, step);
    goes_on(folder.path(), &out);
}

#[test]
fn processes_that_differ_are_refused_together() {
    let (folder, out) = fresh("out");
    let here = folder.path();
    let all = train(&[["--out", "out"]]);
    for (more, says) in [
        (["--lr", "1e-3"], &["rank 1 of 2", "`learning_rate` differs", "same arguments"][..]),
        (["--steps", "60"], &["rank 1 of 2", "`steps` differs"]),
        (["--arch", "no-such"], &["rank 1 of 2", "no-such"]),
    ] {
        let (port, other) = (free_port(), train(&[["--out", "out"], more]));
        let outputs = wait(vec![start(here, Some((0, 2)), port, &all), start(here, Some((1, 2)), port, &other)]);
        assert!(outputs.iter().all(|output| output.status.code() == Some(2)), "{outputs:?}");
        one_error(&outputs, says);
        assert!(!out.exists() && outputs.iter().all(|output| output.stdout.is_empty()), "{outputs:?}");
    }
    // What is wrong for all is said once.
    for (more, says) in [(["--arch", "no-such"], "no-such"), (["--batch", "1"], "there are 2 ranks")] {
        let outputs = wait(launch(here, 2, &train(&[["--out", "out"], more])));
        assert!(outputs.iter().all(|output| output.status.code() == Some(2)), "{outputs:?}");
        assert!(!one_error(&outputs, &[says]).contains("rank 0"));
        assert!(!out.exists());
    }
}

#[test]
fn what_the_environment_says_by_halves_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |variables: &[(&str, &str)], says: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
        let output =
            command.current_dir(folder.path()).args(train(&[])).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        one_error(&[output], says);
    };
    refused(&[("RANK", "0"), ("WORLD_SIZE", "2")], &["RANK, WORLD_SIZE are set", "MASTER_ADDR, MASTER_PORT are not"]);
    refused(&[("SLURM_STEP_ID", "0"), ("SLURM_NTASKS", "2")], &["SLURM_PROCID is not set"]);
    let nowhere = [("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "nowhere.invalid"), ("MASTER_PORT", "2000")];
    refused(&nowhere, &["cannot find rank 0's machine, `nowhere.invalid`", "MASTER_ADDR"]);
    assert!(names(folder.path()).is_empty());
    // No other command looks at them.
    let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
    assert!(command.args(["doctor"]).env("RANK", "0").env("WORLD_SIZE", "2").output().unwrap().status.success());
    refuse(folder.path(), &train(&[["--dtype", "bf16"]]), &["weights of 16 bits", "--autocast"]);
}

#[test]
fn a_port_that_is_taken_is_refused() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let arguments = train(&[]);
    let outputs = wait(vec![start(folder.path(), Some((0, 2)), port, &arguments)]);
    assert_eq!(outputs[0].status.code(), Some(2));
    one_error(&outputs, &["cannot listen on port", "in use", "MASTER_PORT"]);
    assert!(names(folder.path()).is_empty());
}
