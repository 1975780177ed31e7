//! The Hub itself: which files a revision has, and their bytes.
//!
//! The token goes to the Hub only, and not to the servers that it sends us on to. What arrives is checked by size, and large
//! files by SHA-256, before it takes its place in the cache.

use super::needed::needed;
use super::{Environment, HubId, cached, missing};
use crate::error::{Error, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::config::RedirectAuthHeaders;
use ureq::http::Response;
use ureq::{Agent, Body};

/// How often a download is taken up again where it broke off.
const ATTEMPTS: usize = 5;

/// What is told while files arrive.
pub trait Progress {
    /// So many files are missing, of so many bytes together.
    fn begin(&self, id: &HubId, files: usize, bytes: u64);
    /// Bytes more are there.
    fn advance(&self, bytes: u64);
    /// All are there.
    fn end(&self);
}

impl Progress for () {
    fn begin(&self, _: &HubId, _: usize, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}

/// What the Hub says of a revision.
#[derive(Deserialize)]
struct Revision {
    sha: String,
    siblings: Vec<Remote>,
}

/// One of its files.
#[derive(Deserialize, Clone)]
struct Remote {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: String,
    lfs: Option<Lfs>,
}

#[derive(Deserialize, Clone)]
struct Lfs {
    sha256: String,
}

/// Brings a model into the cache, where it is not there yet, and says where it lies.
///
/// # Errors
/// There is no such model, revision or file, or no access to it; no network; or what came is not what the Hub said.
pub fn fetch(id: &HubId, progress: &dyn Progress) -> Result<PathBuf> {
    let environment = Environment::read();
    if let Some(found) = cached::find(id, &environment.cache) {
        return Ok(found);
    }
    if environment.offline {
        return Err(missing(id, "it is not in the cache of the Hub, which HF_HUB_OFFLINE says to leave at that"));
    }
    let hub = Hub { id, environment: &environment, agent: agent() };
    let revision = hub.revision()?;
    let names: Vec<String> = revision.siblings.iter().map(|file| file.rfilename.clone()).collect();
    let Some(wanted) = needed(&names, &id.inside) else { return Err(no_model(id, &names)) };
    let files = revision.siblings.iter().filter(|file| wanted.files.contains(&file.rfilename));
    hub.bring(&revision.sha, &files.cloned().collect::<Vec<_>>(), progress)?;
    let refs = environment.cache.repo(id.at(&id.revision));
    if id.revision != revision.sha {
        refs.create_ref(&revision.sha).map_err(|e| Error::io(environment.cache.path(), "writing", &e))?;
    }
    cached::find(id, &environment.cache).ok_or_else(|| no_model(id, &names))
}

fn agent() -> Agent {
    let config =
        Agent::config_builder().http_status_as_error(false).redirect_auth_headers(RedirectAuthHeaders::SameHost);
    config
        .timeout_connect(Some(Duration::from_secs(20)))
        .user_agent(concat!("lipscope/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

struct Hub<'a> {
    id: &'a HubId,
    environment: &'a Environment,
    agent: Agent,
}

impl Hub<'_> {
    fn get(&self, address: &str, from: u64) -> Result<Response<Body>> {
        let mut request = self.agent.get(address);
        if let Some(token) = &self.environment.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        request
            .call()
            .map_err(|e| missing(self.id, &format!("there is no connection to {} ({e})", self.environment.endpoint)))
    }

    fn revision(&self) -> Result<Revision> {
        let (endpoint, HubId { repo, revision, .. }) = (&self.environment.endpoint, self.id);
        let mut response = self.get(&format!("{endpoint}/api/models/{repo}/revision/{revision}?blobs=true"), 0)?;
        if response.status() != 200 {
            return Err(self.refused(&response));
        }
        let text = response.body_mut().read_to_string();
        let text = text.map_err(|e| missing(self.id, &format!("{endpoint} does not answer to the end ({e})")))?;
        serde_json::from_str(&text)
            .map_err(|e| missing(self.id, &format!("{endpoint} does not answer as the Hub does ({e})")))
    }

    /// Why there is no answer.
    fn refused(&self, response: &Response<Body>) -> Error {
        let (id, endpoint) = (self.id, &self.environment.endpoint);
        let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let status = response.status().as_u16();
        let access = |problem: String, next: String| Error::file(Path::new(&id.to_string()), problem, next);
        match (status, code) {
            (_, "GatedRepo") => access(
                "the model is gated: its terms must be accepted first".into(),
                format!("Accept them at {endpoint}/{}, and set HF_TOKEN to a token of yours.", id.repo),
            ),
            (404, "RevisionNotFound") => {
                missing(id, &format!("the model {} of {endpoint} has no revision `{}`", id.repo, id.revision))
            }
            (404, "EntryNotFound") => missing(id, &format!("the model {} of {endpoint} has no such file", id.repo)),
            (401 | 403, _) if self.environment.token.is_some() && code != "RepoNotFound" => access(
                format!("{endpoint} refuses the token (status {status})"),
                "Check HF_TOKEN, or log in anew with `hf auth login`.".into(),
            ),
            (401 | 404, _) => {
                missing(id, &format!("{endpoint} has no such model, or only for those whom HF_TOKEN names"))
            }
            (429, _) => missing(id, &format!("{endpoint} asks to come back later (status 429)")),
            _ => missing(id, &format!("{endpoint} answers with status {status}")),
        }
    }

    /// Downloads what is missing, and lays it where Python looks for it too.
    fn bring(&self, sha: &str, files: &[Remote], progress: &dyn Progress) -> Result<()> {
        let folder = self.environment.cache.path().join(self.id.at(sha).folder_name());
        let blob = |file: &Remote| folder.join("blobs").join(file.etag());
        let missing: Vec<&Remote> = files.iter().filter(|file| !blob(file).is_file()).collect();
        progress.begin(self.id, missing.len(), missing.iter().filter_map(|file| file.size).sum());
        let failed = |e: std::io::Error| Error::io(&folder, "writing", &e);
        fs::create_dir_all(folder.join("blobs")).map_err(failed)?;
        for file in missing {
            self.download(sha, file, &blob(file), progress)?;
        }
        for file in files {
            let pointer = folder.join("snapshots").join(sha).join(&file.rfilename);
            let up = "../".repeat(2 + file.rfilename.matches('/').count());
            fs::create_dir_all(pointer.parent().unwrap_or(&folder)).map_err(failed)?;
            if !pointer.exists() {
                let _ = fs::remove_file(&pointer);
                link(&format!("{up}blobs/{}", file.etag()), &blob(file), &pointer).map_err(failed)?;
            }
        }
        progress.end();
        Ok(())
    }

    /// One file, from where an earlier download broke off.
    fn download(&self, sha: &str, file: &Remote, blob: &Path, progress: &dyn Progress) -> Result<()> {
        let draft = blob.with_file_name(format!("{}.incomplete", file.etag()));
        let failed = |e: std::io::Error| Error::io(&draft, "writing", &e);
        let mut out =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&draft).map_err(failed)?;
        // Another process may be at the same file.
        out.lock().map_err(failed)?;
        if blob.is_file() {
            let _ = fs::remove_file(&draft);
            return Ok(());
        }
        let (mut there, mut tries) = (out.seek(SeekFrom::End(0)).map_err(failed)?, 0);
        progress.advance(there);
        while file.size.is_none_or(|size| there < size) {
            let before = there;
            let broke = self.append(sha, file, (&mut out, &draft), &mut there, progress)?;
            tries = if there > before { 0 } else { tries + 1 };
            if !broke || tries == ATTEMPTS {
                break;
            }
        }
        let wrong = match (file.size, &file.lfs) {
            (Some(size), _) if size != there => Some(format!("{there} bytes of {size} have come")),
            (_, Some(lfs)) if digest(&mut out).map_err(failed)? != lfs.sha256 => {
                Some("its SHA-256 is not the one that the Hub names".into())
            }
            _ => None,
        };
        match wrong {
            None => fs::rename(&draft, blob).map_err(failed),
            Some(problem) => {
                // What is short may be gone on with; what is wrong may not.
                if file.size.is_none_or(|size| there >= size) {
                    let _ = fs::remove_file(&draft);
                }
                let next = "Run the same command again; if it stays so, the copy at HF_ENDPOINT is damaged.";
                Err(Error::file(
                    Path::new(&format!("{}/{}", self.id.repo, file.rfilename)),
                    format!("the download is damaged: {problem}"),
                    next,
                ))
            }
        }
    }

    /// Goes on with a file until its end; `true` where the connection broke.
    fn append(
        &self,
        sha: &str,
        file: &Remote,
        (out, draft): (&mut File, &Path),
        there: &mut u64,
        progress: &dyn Progress,
    ) -> Result<bool> {
        let address =
            format!("{}/{}/resolve/{sha}/{}", self.environment.endpoint, self.id.repo, encoded(&file.rfilename));
        let response = self.get(&address, *there)?;
        let status = response.status().as_u16();
        if !matches!(status, 200 | 206) {
            return Err(self.refused(&response));
        }
        let failed = |e: std::io::Error| Error::io(draft, "writing", &e);
        if status == 200 && *there > 0 {
            // The server begins anew.
            out.set_len(0).and_then(|()| out.seek(SeekFrom::Start(0))).map_err(failed)?;
            *there = 0;
        }
        let (mut reader, mut buffer) = (response.into_body().into_reader(), vec![0; 1 << 16]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(file.size.is_some_and(|size| *there < size)),
                Err(_) => return Ok(true),
                Ok(count) => {
                    out.write_all(&buffer[..count]).map_err(failed)?;
                    *there += count as u64;
                    progress.advance(count as u64);
                }
            }
        }
    }
}

impl Remote {
    /// The name of its bytes in the cache.
    fn etag(&self) -> &str {
        self.lfs.as_ref().map_or(&self.blob_id, |lfs| &lfs.sha256)
    }
}

fn link(relative: &str, blob: &Path, pointer: &Path) -> std::io::Result<()> {
    // Some file systems know no links.
    std::os::unix::fs::symlink(relative, pointer).or_else(|_| fs::copy(blob, pointer).map(|_| ()))
}

fn digest(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    std::io::copy(file, &mut hash)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A path as it stands in an address.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn no_model(id: &HubId, files: &[String]) -> Error {
    let shown = files.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if files.len() > 12 { format!(" and {} more", files.len() - 12) } else { String::new() };
    let place = if id.inside.is_empty() { "it".to_string() } else { format!("`{}` of it", id.inside) };
    Error::file(
        Path::new(&id.to_string()),
        format!(
            "no model is found in {place}: no weights beside a config.json, in unet/ or transformer/, or alone. It has {shown}{more}"
        ),
        "Name the folder or the file behind the id, such as org/name/unet or org/name/model.safetensors.",
    )
}
