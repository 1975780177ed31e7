//! How a training of several ranks ends where one of them fails: all stop, and one of them says why.

use super::links::{Links, name};
use super::watchman::{DOWN, cause, here};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the one who tells waits for what others have to say: their watchmen look twice a second.
const LISTEN: Duration = Duration::from_millis(1500);
const LISTEN_AT_MOST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

const GO_ON: &str = "What was saved last is whole; start the same command again to go on from it.";

/// What each rank had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// Whether it has heard of the failure at all.
    alive: bool,
    /// Its own error, in two parts; `None` before it has said anything.
    cause: Option<Option<(String, String)>>,
}

impl Links {
    /// Stops all ranks; returns the error that this one is to tell, or `None` where another one does.
    pub(super) fn conclude(&self, error: Error) -> Option<Error> {
        let own = !self.lost.get();
        let Ok(tells) = self.announce(own.then_some(&error)) else {
            // The store is gone, and with it the rank that served it.
            let told = if own { error } else { ended(&[0], self.of, &[String::new()]) };
            return (own || self.rank == 1).then_some(told);
        };
        let told = tells.then(|| self.tell(error, own));
        let _ = self.store.set(&gone(self.rank), "");
        if self.serves {
            self.wait_for_the_others();
        }
        told
    }

    /// Tells the others; whether this rank is the one who tells the user.
    fn announce(&self, error: Option<&Error>) -> Result<bool> {
        let parts = error.map(|error| {
            let (problem, next) = parts(error);
            json!([problem, next])
        });
        self.store.set(&cause(self.rank), &parts.unwrap_or_default().to_string())?;
        self.store.set(DOWN, "")?;
        self.store.set(&here(self.rank), "")?;
        Ok(self.store.count("teller")? == 1)
    }

    fn tell(&self, error: Error, own: bool) -> Error {
        let began = Instant::now();
        let said = loop {
            let said: Vec<Said> = (0..self.of).map(|rank| self.said(rank)).collect();
            let silent = said.iter().any(|said| said.alive && said.cause.is_none());
            let all = said.iter().all(|said| said.cause.is_some());
            let waited = began.elapsed();
            if all || waited > LISTEN && !silent || waited > LISTEN_AT_MOST {
                break said;
            }
            sleep(PAUSE);
        };
        let names = |rank: usize| self.store.get(&name(rank)).ok().flatten().unwrap_or_default();
        verdict(&said, names).unwrap_or(if own { error } else { unreachable(&error) })
    }

    fn said(&self, rank: usize) -> Said {
        let cause = self.store.get(&cause(rank)).ok().flatten();
        let cause = cause.map(|text| match serde_json::from_str(&text) {
            Ok(Value::Array(parts)) => {
                let part = |i: usize| parts.get(i).and_then(Value::as_str).unwrap_or_default().to_string();
                Some((part(0), part(1)))
            }
            _ => None,
        });
        let heard = self.store.get(&here(rank)).is_ok_and(|here| here.is_some());
        Said { alive: heard || cause.is_some(), cause }
    }

    /// The store must outlive what the others say through it.
    fn wait_for_the_others(&self) {
        let began = Instant::now();
        let is = |key: &str| self.store.get(key).is_ok_and(|value| value.is_some());
        let busy = |rank: &usize| (is(&here(*rank)) || began.elapsed() < LISTEN) && !is(&gone(*rank));
        while began.elapsed() < LISTEN_AT_MOST && (0..self.of).any(|rank| busy(&rank)) {
            sleep(PAUSE);
        }
    }
}

fn gone(rank: usize) -> String {
    format!("gone/{rank}")
}

/// A message without what to do next, and that.
fn parts(error: &Error) -> (String, String) {
    let text = error.to_string();
    match text.strip_suffix(error.next()).map(|problem| problem.trim_end().trim_end_matches('.')) {
        Some(problem) if !problem.is_empty() => (problem.into(), error.next().into()),
        _ => (text.trim_end_matches('.').into(), "All ranks have stopped.".into()),
    }
}

/// The error of the lowest rank that had one of its own; else the ranks that are silent. `None` where there is neither.
fn verdict(said: &[Said], name: impl Fn(usize) -> String) -> Option<Error> {
    let own = said.iter().enumerate().find_map(|(rank, said)| Some((rank, said.cause.clone()??)));
    if let Some((rank, (problem, next))) = own {
        // What rank 0 says is mostly what each of them would.
        let problem = if rank == 0 { problem } else { format!("rank {rank} of {}: {problem}", said.len()) };
        return Some(Error::mismatch(problem, next));
    }
    let silent: Vec<usize> = (0..said.len()).filter(|&rank| !said[rank].alive).collect();
    let names: Vec<String> = silent.iter().map(|&rank| name(rank)).collect();
    (!silent.is_empty()).then(|| ended(&silent, said.len(), &names))
}

/// Ranks that are heard of no more; `names` are where they were, or empty.
fn ended(ranks: &[usize], of: usize, names: &[String]) -> Error {
    let each = ranks.iter().zip(names).map(|(rank, name)| match name.as_str() {
        "" => rank.to_string(),
        name => format!("{rank} ({name})"),
    });
    let list = each.collect::<Vec<_>>().join(", ");
    let (noun, verb) = if ranks.len() == 1 { ("rank", "has") } else { ("ranks", "have") };
    Error::mismatch(format!("{noun} {list} of {of} {verb} ended or cannot be reached any more"), GO_ON)
}

fn unreachable(error: &Error) -> Error {
    Error::mismatch(format!("the ranks have lost each other ({})", parts(error).0), GO_ON)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(cause: Option<Option<&str>>) -> Said {
        let cause = cause.map(|own| own.map(|problem| (problem.to_string(), "Do that.".to_string())));
        Said { alive: cause.is_some(), cause }
    }

    fn text(said: &[Said]) -> String {
        verdict(said, |rank| if rank == 1 { "n2, process 7".into() } else { String::new() })
            .map_or(String::new(), |error| error.to_string())
    }

    #[test]
    fn the_first_cause_is_told_and_else_who_is_silent() {
        let (lost, dead) = (said(Some(None)), said(None));
        assert_eq!(text(&[lost.clone(), said(Some(Some("no file")))]), "rank 1 of 2: no file. Do that.");
        assert_eq!(text(&[said(Some(Some("diverged"))), said(Some(Some("diverged")))]), "diverged. Do that.");
        assert!(text(&[lost.clone(), dead.clone()]).starts_with("rank 1 (n2, process 7) of 2 has ended"));
        assert!(text(&[dead.clone(), lost.clone(), dead]).starts_with("ranks 0, 2 of 3 have ended"));
        assert_eq!(text(&[lost.clone(), lost]), "");
    }

    #[test]
    fn a_message_is_put_together_as_it_was() {
        for error in [
            Error::argument("--arch", "x", "it is another", "Choose one."),
            Error::mismatch("a and b differ", "Make them one."),
            Error::file("f", "it is damaged", "Get another."),
        ] {
            let (problem, next) = parts(&error);
            assert_eq!(Error::mismatch(problem, next).to_string(), error.to_string());
        }
    }
}
