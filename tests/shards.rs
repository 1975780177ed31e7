//! The parts of a command that several processes do, each its shard of the units: put together they are what one process
//! measures, bit for bit, whichever come twice, late or never.

mod common;

use common::{fixture, fresh, lipscope, names, outcome, refuse, report, succeed};
use serde_json::Value;
use std::path::Path;

fn parts(out: &Path) -> usize {
    names(&out.join("parts")).len()
}

/// Shards in an order of their own, one of them twice and with `absent` one never, then the command itself.
fn check(arguments: &[&str], absent: bool) {
    let (folder, out) = fresh("out");
    let here = folder.path();
    succeed(here, &[arguments, &["--out", "whole", "--quiet"]].concat());
    let shard = |which: &str| {
        let output = lipscope(here, &[arguments, &["--out", "out", "--quiet", "--shard", which]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && output.stdout.is_empty(), "{arguments:?}: {said}");
        assert!(said.contains(&format!("shard {which} is done")), "{said}");
        assert!(!out.join("report.json").exists(), "a shard wrote a report");
        said
    };
    for which in ["2/3", "0/3", "2/3"] {
        assert!(shard(which).contains("of other shards"), "{which}");
    }
    // What `auto` adds, the parts of derivatives and posterior weights follow from all timesteps.
    let follows = ["auto", "--attribute", "ideal:digits", "theory"];
    let follows = follows.iter().any(|more| arguments.contains(more));
    if !absent {
        assert!(shard("1/3").contains("no other unit is missing") || follows);
    }
    let before = parts(&out);
    succeed(here, &[arguments, &["--out", "out", "--quiet"]].concat());
    assert!(outcome(&out) == outcome(&here.join("whole")), "{arguments:?}");
    let all_there = !absent && !follows;
    assert_eq!(parts(&out) == before, all_there, "{arguments:?}: {before} parts, then {}", parts(&out));
}

#[test]
fn curves_of_shards_are_those_of_one_process() {
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "digits", "--samples", "12", "--batch", "24"];
    let measure = [&["measure", &pipeline][..], &of].concat();
    check(&[&measure[..], &["--timesteps", "0..12", "--quantity", "both"]].concat(), false);
    check(&[&measure[..], &["--timesteps", "0..9"]].concat(), true);
    check(&[&measure[..], &["--timesteps", "auto", "--tolerance", "0.3"]].concat(), false);
    check(&[&measure[..], &["--timesteps", "0..6", "--attribute", "site", "--quantity", "derivative"]].concat(), false);
    let compare = [&["compare", &pipeline, "ideal:digits"][..], &of].concat();
    check(&[&compare[..], &["--timesteps", "0..12"]].concat(), false);
    check(&["theory", "--data", "digits", "--samples", "12", "--batch", "24", "--timesteps", "0..8"], false);
}

#[test]
fn tables_of_shards_are_those_of_one_process() {
    let pipeline = fixture("torchscript/pipeline");
    check(&["stability", &pipeline, "--data", "digits", "--samples", "8", "--timesteps", "0..5"], false);
    let evaluate = ["evaluate", &pipeline, "--data", "digits", "--samples", "24", "--nfe", "2,3", "--seeds", "2"];
    check(&evaluate, false);
    check(&evaluate, true);
}

/// `auto` finds its timesteps in waves: shards that are started again come to the last of them.
#[test]
fn shards_that_are_started_again_do_the_timesteps_that_follow() {
    let (folder, out) = fresh("out");
    let here = folder.path();
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "digits", "--samples", "8", "--batch", "8", "--timesteps", "auto", "--tolerance", "0.3"];
    let measure = [&["measure", &pipeline][..], &of].concat();
    succeed(here, &[&measure[..], &["--out", "whole", "--quiet"]].concat());
    let mut rounds = 0;
    let mut before = 0;
    loop {
        for which in ["0/2", "1/2"] {
            succeed(here, &[&measure[..], &["--out", "out", "--quiet", "--shard", which]].concat());
        }
        rounds += 1;
        if parts(&out) == before {
            break;
        }
        before = parts(&out);
        assert!(rounds < 20, "there is no end of waves");
    }
    assert!(rounds > 2, "there was one wave only");
    succeed(here, &[&measure[..], &["--out", "out", "--quiet"]].concat());
    assert_eq!(parts(&out), before, "the command itself had something left to measure");
    assert!(outcome(&out) == outcome(&here.join("whole")));
}

/// Parts of derivatives follow from the curves: shards that are started again do those too, and merging finds them all.
#[test]
fn a_merge_measures_nothing_and_names_what_is_missing() {
    let (folder, out) = fresh("out");
    let here = folder.path();
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "digits", "--samples", "12", "--batch", "24", "--timesteps", "0..8"];
    let more = ["--quantity", "derivative", "--attribute", "site", "--seed", "3"];
    let measure = [&["measure", &pipeline][..], &of, &more].concat();
    succeed(here, &[&measure[..], &["--out", "whole", "--quiet"]].concat());
    let shard = |which: &str, out: &str| {
        succeed(here, &[&measure[..], &["--out", out, "--quiet", "--shard", which]].concat());
    };
    shard("0/2", "out");
    let status = succeed(here, &["status", "out"]);
    for said in ["points: 2 of 4 units; missing: t = 2, 3, 6, 7", "of 2 that lack units: 1", "is not written yet"] {
        assert!(status.contains(said), "{status}");
    }
    refuse(here, &["merge", "out"], &["2 units are missing: t = 2, 3, 6, 7", "--seed 3", "with --shard 1/2"]);
    // The other shard ran elsewhere.
    shard("1/2", "elsewhere");
    refuse(here, &["merge", "out", "elsewhere"], &["attribution site 0: 0 1", "--shard 0/2, 1/2"]);
    for which in ["0/2", "1/2"] {
        shard(which, "out");
    }
    let before = parts(&out);
    // Where the shards ran, or elsewhere.
    let merged = lipscope(out.parent().unwrap(), &["merge", out.to_str().unwrap(), "--plot=svg", "--json"]);
    assert!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
    assert_eq!(parts(&out), before);
    assert!(out.join("lipschitz.svg").exists());
    assert!(outcome(&out) == outcome(&here.join("whole")));
    let makers = &report(&out)["provenance"]["parts"];
    assert_eq!(makers.as_array().map(Vec::len), Some(1), "{makers}");
    assert!(makers[0]["processes"] == 4 && makers[0]["units"] == 8, "{makers}");
    let status: Value = serde_json::from_str(&succeed(here, &["status", "out", "--json"])).unwrap();
    assert!(status["reported"] == true && status["units"].as_array().unwrap().len() == 2, "{status}");
}

#[test]
fn folders_of_other_commands_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let pipeline = fixture("torchscript/pipeline");
    let measure = ["measure", &pipeline, "--data", "digits", "--samples", "4", "--timesteps", "0..2", "--quiet"];
    succeed(here, &[&measure[..], &["--out", "a"]].concat());
    succeed(here, &[&measure[..], &["--seed", "1", "--out", "b"]].concat());
    refuse(here, &["merge", "a", "b"], &["b: this is the run of another plan: `seed` differs"]);
    refuse(here, &["merge", "new", "a", "b"], &["b: this is the run of another plan"]);
    assert!(!here.join("new").exists());
    refuse(here, &["merge", "nowhere"], &["no plan.json"]);
    refuse(here, &["status", "nowhere"], &["no plan.json"]);
    // A part that strayed in.
    let stray = names(&here.join("b/parts")).remove(0);
    std::fs::copy(here.join("b/parts").join(&stray), here.join("a/parts").join(&stray)).unwrap();
    refuse(here, &["merge", "a"], &["belongs to another plan"]);
    std::fs::remove_file(here.join("a/parts").join(&stray)).unwrap();
    succeed(here, &["merge", "new", "a", "--quiet"]);
    assert!(outcome(&here.join("new")) == outcome(&here.join("a")));
}

#[test]
fn processes_side_by_side_are_one_command() {
    let (folder, out) = fresh("out");
    let here = folder.path();
    let pipeline = fixture("torchscript/pipeline");
    for (name, command, of) in [
        ("measure", "measure", &["--samples", "8", "--batch", "8", "--timesteps", "auto", "--tolerance", "0.3"][..]),
        ("stability", "stability", &["--samples", "8", "--timesteps", "0..4"]),
        ("evaluate", "evaluate", &["--samples", "24", "--nfe", "2", "--seeds", "3"]),
    ] {
        // Sums of float32 numbers may depend on the number of threads.
        let all = [&[command, &pipeline, "--data", "digits", "--threads", "1"], of].concat();
        succeed(here, &[&all[..], &["--out", name, "--quiet"]].concat());
        succeed(here, &[&all[..], &["--out", "out", "--shards", "2"]].concat());
        assert!(outcome(&out) == outcome(&here.join(name)), "{name}");
        common::clear(here);
    }
}

#[test]
fn what_is_no_shard_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let pipeline = fixture("torchscript/pipeline");
    let with = |more: &[&'static str]| [&["measure", pipeline.as_str(), "--timesteps", "0,1"], more].concat();
    refuse(here, &with(&["--data", "digits", "--shard", "2/2"]), &["--shard is `2/2`", "from 0 to N − 1"]);
    refuse(here, &with(&["--shard", "0/2"]), &["samples of its own", "--data"]);
}
