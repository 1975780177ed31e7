//! Models by their ids, from a small server on the loopback address that speaks the Hub's API.

mod common;

use common::succeed;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_secret";

/// A request as it came: who was asked, for what, from which byte on, with which token.
#[derive(Clone, Debug)]
struct Asked {
    by: &'static str,
    path: String,
    from: usize,
    token: Option<String>,
}

/// The Hub, and the server that it sends us on to for large files, which breaks off in the middle of the first.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn start(model: PathBuf) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (hub, store) = (listen(), listen());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let address = format!("http://127.0.0.1:{}", port(&hub));
        // Another name, and so another host.
        let elsewhere = format!("http://localhost:{}", port(&store));
        for (by, listener) in [("hub", hub), ("store", store)] {
            let (asked, model, elsewhere) = (asked.clone(), model.clone(), elsewhere.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    answer(by, stream.unwrap(), &asked, &model, &elsewhere);
                }
            });
        }
        Server { address, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn respond(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8], sent: usize) {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(&body[..sent]);
    let _ = stream.flush();
}

fn answer(by: &'static str, mut stream: TcpStream, log: &Mutex<Vec<Asked>>, model: &Path, elsewhere: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut from, mut token) = (String::new(), 0, None);
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_string();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap() <= 2 {
            break;
        }
        let (name, value) = header.trim().split_once(": ").unwrap();
        match name.to_lowercase().as_str() {
            "range" => from = value.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap(),
            "authorization" => token = Some(value.to_string()),
            _ => {}
        }
    }
    let is_first = !log.lock().unwrap().iter().any(|asked| asked.by == "store" && asked.path == path);
    log.lock().unwrap().push(Asked { by, path: path.clone(), from, token });
    if by == "store" {
        let bytes = fs::read(model.join(path.trim_start_matches('/'))).unwrap();
        if is_first && from == 0 {
            return respond(&mut stream, "200 OK", &[], &bytes, bytes.len() / 2);
        }
        let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        return respond(
            &mut stream,
            "206 Partial Content",
            &[("Content-Range", &range)],
            &bytes[from..],
            bytes.len() - from,
        );
    }
    let refuse =
        |stream: &mut TcpStream, status: &str, code: &str| respond(stream, status, &[("X-Error-Code", code)], b"no", 2);
    match path.split('?').next().unwrap() {
        "/api/models/org/tiny/revision/main" => listing(&mut stream, model, None),
        "/api/models/org/damaged/revision/main" => listing(&mut stream, model, Some("00")),
        "/api/models/org/gated/revision/main" => refuse(&mut stream, "403 Forbidden", "GatedRepo"),
        "/api/models/org/private/revision/main" => refuse(&mut stream, "401 Unauthorized", ""),
        "/api/models/org/tiny/revision/v9" => refuse(&mut stream, "404 Not Found", "RevisionNotFound"),
        path => match path.split_once(&format!("/resolve/{SHA}/")) {
            Some((_, file)) if file.ends_with(".safetensors") => {
                respond(&mut stream, "302 Found", &[("Location", &format!("{elsewhere}/{file}"))], b"", 0);
            }
            Some((_, file)) => {
                let bytes = fs::read(model.join(file)).unwrap();
                respond(&mut stream, "200 OK", &[], &bytes, bytes.len());
            }
            None => refuse(&mut stream, "404 Not Found", "RepoNotFound"),
        },
    }
}

/// What the Hub says of the files of the model, and of two that it does not need.
fn listing(stream: &mut TcpStream, model: &Path, wrong: Option<&str>) {
    let files = [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    ];
    let mut siblings = vec![
        json!({"rfilename": "vae/model.safetensors", "size": 9, "blobId": "v"}),
        json!({"rfilename": "README.md", "size": 9, "blobId": "r"}),
    ];
    for name in files.iter().filter(|name| model.join(name).is_file()) {
        let bytes = fs::read(model.join(name)).unwrap();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut file = json!({"rfilename": name, "size": bytes.len(), "blobId": format!("b{}", &digest[..39])});
        if name.ends_with(".safetensors") {
            file["lfs"] = json!({"sha256": wrong.map_or(digest.clone(), |wrong| format!("{wrong}{}", &digest[2..])), "size": bytes.len()});
        }
        siblings.push(file);
    }
    let text = json!({"id": "org/tiny", "sha": SHA, "siblings": siblings}).to_string();
    respond(stream, "200 OK", &[], text.as_bytes(), text.len());
}

/// A diffusers folder, and what is needed to ask for it.
struct Place {
    folder: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arch =
            ["--arch", "unet:channels=8-8,layers=1", "--steps", "1", "--format", "diffusers", "--out", "trained"];
        succeed(folder.path(), &[&["train", "--variant", "ddpm", "--data", "digits", "--quiet"], &arch[..]].concat());
        let model = fs::read_dir(folder.path().join("trained"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.is_dir() && path.join("unet").is_dir());
        fs::rename(model.unwrap(), folder.path().join("tiny")).unwrap();
        let server = Server::start(folder.path().join("tiny"));
        Place { folder, server }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
        for name in
            ["HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN_PATH", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        {
            command.env_remove(name);
        }
        command.env("HF_HOME", self.path().join("hf")).env("HF_ENDPOINT", &self.server.address).env("HF_TOKEN", TOKEN);
        command.envs(environment.iter().copied()).current_dir(self.path()).args(arguments).output().unwrap()
    }

    fn measure(&self, model: &str, out: &str, environment: &[(&str, &str)]) -> Output {
        let plan = ["--data", "digits", "--timesteps", "0,5", "--samples", "4", "--out", out];
        self.run(&[&["measure", model], &plan[..]].concat(), environment)
    }

    fn refused(&self, model: &str, environment: &[(&str, &str)], says: &[&str]) {
        let output = self.measure(model, "refused", environment);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(says.iter().all(|words| said.contains(words)), "{says:?}: {said}");
        assert_eq!(said.matches("error:").count(), 1, "{said}");
        assert!(!self.path().join("refused").exists() && !said.contains(TOKEN), "{said}");
    }
}

fn curve(place: &Place, out: &str) -> String {
    fs::read_to_string(place.path().join(out).join("curve.csv")).unwrap()
}

fn worked(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn an_id_is_fetched_once_and_measured_as_the_folder() {
    let place = Place::new();
    worked(&place.measure("tiny", "by-path", &[]));
    assert!(place.server.asked().is_empty(), "a folder that is here is asked for nowhere");
    let said = worked(&place.measure("org/tiny", "by-id", &[]));
    assert!(said.contains("fetching org/tiny: 4 files"), "{said}");
    assert_eq!(curve(&place, "by-id"), curve(&place, "by-path"));
    let asked = place.server.asked();
    assert!(asked.iter().all(|asked| !asked.path.contains("vae") && !asked.path.contains("README")), "{asked:?}");
    // The first half came before the connection broke.
    let of_store: Vec<&Asked> = asked.iter().filter(|asked| asked.by == "store").collect();
    assert_eq!((of_store.len(), of_store[0].from), (2, 0), "{asked:?}");
    assert!(of_store[1].from > 1000, "{asked:?}");
    let token = format!("Bearer {TOKEN}");
    for request in &asked {
        let wanted = (request.by == "hub").then_some(&token);
        assert_eq!(request.token.as_ref(), wanted, "the token goes to the Hub only: {request:?}");
    }
    worked(&place.measure("org/tiny", "again", &[]));
    worked(&place.measure("org/tiny/unet", "inside", &[("HF_HUB_OFFLINE", "1")]));
    worked(&place.run(&["inspect", &format!("org/tiny@{SHA}")], &[("HF_HUB_OFFLINE", "1")]));
    assert!(place.server.asked().is_empty(), "what is in the cache is asked for no more");
    assert_eq!(curve(&place, "again"), curve(&place, "by-path"));
    let report = fs::read_to_string(place.path().join("by-id/report.json")).unwrap();
    assert!(report.contains(&format!("org/tiny@{SHA}")), "the report names the id and its commit");
}

#[test]
fn a_cache_of_pythons_is_used_and_a_wrong_file_never_enters_it() {
    let place = Place::new();
    // As huggingface_hub lays it down.
    let repo = place.path().join("hf/hub/models--org--python");
    let snapshot = repo.join("snapshots").join(SHA);
    for (number, file) in
        ["scheduler/scheduler_config.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"]
            .iter()
            .enumerate()
    {
        let blob = repo.join("blobs").join(number.to_string());
        fs::create_dir_all(blob.parent().unwrap()).unwrap();
        fs::copy(place.path().join("tiny").join(file), &blob).unwrap();
        fs::create_dir_all(snapshot.join(file).parent().unwrap()).unwrap();
        symlink(format!("../../../blobs/{number}"), snapshot.join(file)).unwrap();
    }
    fs::create_dir_all(repo.join("refs")).unwrap();
    fs::write(repo.join("refs/main"), SHA).unwrap();
    worked(&place.measure("org/python", "python", &[("HF_HUB_OFFLINE", "1")]));
    assert!(place.server.asked().is_empty());

    place.refused(
        "org/damaged",
        &[],
        &["org/damaged/unet/diffusion_pytorch_model.safetensors", "its SHA-256 is not the one"],
    );
    let mut left = Vec::new();
    for entry in fs::read_dir(place.path().join("hf/hub/models--org--damaged/blobs")).unwrap() {
        let mut bytes = Vec::new();
        fs::File::open(entry.unwrap().path()).unwrap().read_to_end(&mut bytes).unwrap();
        left.push(bytes);
    }
    let weights = fs::read(place.path().join("tiny/unet/diffusion_pytorch_model.safetensors")).unwrap();
    assert!(!left.contains(&weights) && left.len() == 3, "the others are kept");
}

#[test]
fn what_cannot_be_had_is_said_with_a_next_step() {
    let place = Place::new();
    place.refused(
        "org/nothing",
        &[],
        &[
            "org/nothing",
            "no such file or folder here",
            "has no such model",
            "hf download org/nothing --local-dir nothing",
        ],
    );
    place.refused("org/gated", &[], &["gated", "terms", "HF_TOKEN"]);
    place.refused("org/private", &[], &["refuses the token", "hf auth login"]);
    place.refused("org/private", &[("HF_TOKEN", "")], &["only for those whom HF_TOKEN names"]);
    place.refused("org/tiny@v9", &[], &["no revision `v9`", "--revision v9"]);
    place.refused("org/tiny/nothing", &[], &["no model is found in `nothing` of it", "org/name/unet"]);
    place.refused("org/tiny", &[("HF_HUB_OFFLINE", "1")], &["HF_HUB_OFFLINE", "hf download org/tiny --local-dir tiny"]);
    place.refused(
        "org/tiny",
        &[("HF_ENDPOINT", "http://127.0.0.1:9")],
        &["there is no connection to http://127.0.0.1:9", "hf download"],
    );
    place.server.asked();
    // What looks like a path, or lies below a folder that is here, is a misspelt path.
    fs::create_dir(place.path().join("runs")).unwrap();
    for path in ["runs/nothing", "elsewhere/model.pt", "./org/tiny"] {
        place.refused(path, &[], &[path]);
    }
    assert!(place.server.asked().is_empty());
}
