//! A Slurm cluster for a test, where Slurm is installed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a cluster needs.
const PROGRAMS: [&str; 4] = ["sbatch", "slurmctld", "slurmd", "munged"];

/// A factor for waiting times.
const PACE: &str = "0.05";

/// Clusters find free ports one after the other, below those that the system gives to outgoing connections.
static PORTS: Mutex<u16> = Mutex::new(0);
const PORTS_FROM: u16 = 20_000;
const PORTS_TO: u16 = 32_700;

/// Daemons in a folder of their own.
pub struct Cluster {
    folder: tempfile::TempDir,
    script: Child,
}

/// Whether Slurm is there. Where `LIPSCOPE_TEST_SLURM=1` says that it is to be, its absence fails the test.
pub fn is_there() -> bool {
    static SAID: AtomicBool = AtomicBool::new(false);
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let has = |program: &&str| path.split(':').any(|folder| Path::new(folder).join(program).is_file());
    let missing: Vec<&str> = PROGRAMS.iter().copied().filter(|program| !has(program)).collect();
    if missing.is_empty() {
        return true;
    }
    let wanted = std::env::var("LIPSCOPE_TEST_SLURM").is_ok_and(|value| value == "1");
    assert!(!wanted, "LIPSCOPE_TEST_SLURM=1, and Slurm lacks {}", missing.join(", "));
    if !SAID.swap(true, Ordering::Relaxed) {
        println!("not run: Slurm is not installed ({} missing)", missing.join(", "));
    }
    false
}

/// The first of so many free ports in a row. Others may take them before the daemons do, so each test asks for its own.
fn ports(count: u16) -> u16 {
    let mut next = PORTS.lock().unwrap_or_else(|e| e.into_inner());
    if *next == 0 {
        *next = PORTS_FROM + (std::process::id() % 120) as u16 * 100;
    }
    loop {
        let first = *next;
        *next = if first + count >= PORTS_TO { PORTS_FROM } else { first + count };
        if (first..first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}

impl Cluster {
    /// Two nodes, idle.
    pub fn start() -> Cluster {
        Cluster::with_arrays_below(1001)
    }

    /// The same where indices of arrays are below `size`.
    pub fn with_arrays_below(size: usize) -> Cluster {
        let folder = tempfile::Builder::new().prefix("ls").rand_bytes(6).tempdir_in("/tmp").unwrap();
        let mut command = Command::new(script());
        command.arg(folder.path()).arg(ports(3).to_string()).arg("2");
        command.env("LIPSCOPE_CLUSTER_ARRAY", size.to_string());
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "ready\n" {
            let _ = script.wait();
            let log = |name: &str| std::fs::read_to_string(folder.path().join("log").join(name)).unwrap_or_default();
            panic!("the cluster did not start: {} {}", log("munged.out"), log("slurmctld.out"));
        }
        Cluster { folder, script }
    }

    /// A command that talks to it, with its waiting times shortened.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf")).env("LIPSCOPE_PACE", PACE);
        command
    }

    /// lipscope in a folder, not yet started.
    pub fn lipscope(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_lipscope"));
        command.current_dir(folder).args(arguments).env_remove("NO_COLOR");
        command
    }

    /// One of Slurm's programs, which must succeed: what it printed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output: Output = self.command(program).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// States of all tasks that the controller knows, such as `1_0 RUNNING n1`.
    pub fn states(&self) -> Vec<String> {
        let text = self.run("squeue", &["-h", "-r", "-t", "all", "-o", "%F_%K %T %N"]);
        text.lines().map(|line| line.trim().to_string()).collect()
    }

    /// Kills a node as a power cut would.
    pub fn lose(&self, node: &str) {
        let mut command = Command::new(script());
        assert!(command.arg("lose").arg(self.folder.path()).arg(node).status().unwrap().success());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm/cluster.sh")
}

/// Waits until something holds; at most a minute.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
