use super::averages::is_average_name;
use super::*;

const ANCHORS: [&str; 2] = ["stem.conv.weight", "head.weight"];
const OWN: [&str; 3] = ["stem.conv.weight", "body.0.weight", "head.weight"];

fn entries(names: &[String]) -> Vec<Entry> {
    let shape = |name: &str| vec![2 + name.len() % 3, 3];
    // The shape follows from the last parts alone, so that all sets have the same.
    let entry = |name: &String| {
        let own = wrappers::without(name.rsplit_once("..").map_or(name, |(_, own)| own));
        Entry { name: name.replace("..", "."), shape: shape(&own), dtype: "float32".into() }
    };
    names.iter().map(entry).collect()
}

/// `prefix..own` for each parameter: the double dot tells [`entries`] where the network's own name begins.
fn below(prefix: &str) -> Vec<String> {
    OWN.iter().map(|own| if prefix.is_empty() { own.to_string() } else { format!("{prefix}..{own}") }).collect()
}

fn found(names: &[String]) -> Vec<Set> {
    let entries = entries(names);
    find(&Names::new(&entries), &ANCHORS)
}

fn described(sets: &[Set]) -> Vec<(String, bool)> {
    sets.iter().map(|set| (set.name(), set.average)).collect()
}

#[test]
fn wrappers_may_stand_anywhere_in_a_name() {
    for names in [
        ["_orig_mod.stem.conv.weight", "_orig_mod.body.0.weight", "_orig_mod.head.weight"],
        ["module.stem.conv.weight", "module.body.0.weight", "module.head.weight"],
        ["stem._orig_mod.conv.weight", "body.0._checkpoint_wrapped_module.weight", "head.weight"],
        [
            "model._fsdp_wrapped_module.stem._fsdp_wrapped_module.conv.weight",
            "model._fsdp_wrapped_module.body.0.module.weight",
            "model._fsdp_wrapped_module.head.weight",
        ],
    ] {
        let sets = found(&names.map(str::to_string));
        assert_eq!(sets.len(), 1, "{names:?}");
        let own: BTreeSet<&str> = sets[0].names.values().map(String::as_str).collect();
        assert_eq!(own, BTreeSet::from(OWN), "{names:?}");
    }
    assert_eq!(wrappers::before("a.xstem.conv.weight", "stem.conv.weight"), None);
    assert_eq!(wrappers::before("conv.weight", "stem.conv.weight"), None);
    assert_eq!(wrappers::before("stem.conv.weight.module", "stem.conv.weight"), None);
    assert_eq!(wrappers::before("a.stem.module.conv.weight", "stem.conv.weight"), Some("a."));
    assert_eq!(wrappers::before("stem.conv.weight", "stem.conv.weight"), Some(""));
}

#[test]
fn averages_are_known_by_their_words() {
    for part in ["ema", "EMA", "model_ema", "emaModel", "ema_0", "unet_avg", "average_model", "shadow", "emas", "swa"] {
        assert!(is_average_name(part), "{part}");
    }
    for part in ["model", "non_ema", "no_ema", "schema", "without_ema", "remand", "emanuel", "online_model", ""] {
        assert!(!is_average_name(part), "{part}");
    }
}

#[test]
fn averages_are_known_by_what_lies_beside_them() {
    let beside = |sets: &[&str], more: &[&str]| {
        let names: Vec<String> =
            sets.iter().flat_map(|set| below(set)).chain(more.iter().map(|name| name.to_string())).collect();
        described(&found(&names))
    };
    let pair = |name: &str, average: bool| (name.to_string(), average);
    assert_eq!(beside(&["module"], &[]), [pair("module", false)]);
    assert_eq!(beside(&["module"], &["n_averaged"]), [pair("module", true)]);
    assert_eq!(
        beside(&["net", "swa_net.module"], &["swa_net.n_averaged"]),
        [pair("net", false), pair("swa_net.module", true)]
    );
    assert_eq!(
        beside(&["state_dict", "current_model_state"], &["averaging_state.n_averaged"]),
        [pair("state_dict", true), pair("current_model_state", false)]
    );
    assert_eq!(
        beside(&["ema.ema_model", "ema.online_model"], &[]),
        [pair("ema.ema_model", true), pair("ema.online_model", false)]
    );
}

#[test]
fn a_list_of_averages_is_matched_in_the_models_order() {
    let with = |list: &[&str]| -> Vec<Entry> {
        let mut all = entries(&below("model"));
        let shapes = entries(&list.iter().map(|own| own.to_string()).collect::<Vec<_>>());
        all.extend(
            shapes.into_iter().enumerate().map(|(i, of)| Entry { name: format!("ema.shadow_params.{i}"), ..of }),
        );
        all
    };
    let entries = with(&OWN);
    let sets = find(&Names::new(&entries), &ANCHORS);
    let average = sets.iter().find(|set| set.average).unwrap();
    assert_eq!(average.names["ema.shadow_params.1"], "body.0.weight");
    // Another order and another number are no averages of this model.
    for list in [&["head.weight", "stem.conv.weight", "body.0.weight"][..], &OWN[..2]] {
        let entries = with(list);
        assert!(find(&Names::new(&entries), &ANCHORS).iter().all(|set| !set.average), "{list:?}");
    }
}

#[test]
fn the_set_that_was_asked_for_is_the_one_that_is_taken() {
    let names: Vec<String> = ["EMA", "net", "other.net2", "other.net3"].iter().flat_map(|set| below(set)).collect();
    let sets = found(&names);
    let sets: Vec<&Set> = sets.iter().collect();
    let chosen = |asked| choose(&sets, asked, Path::new("file.pt")).map(|place| sets[place].name());
    for (asked, name) in [
        (None, "EMA"),
        (Some("ema"), "EMA"),
        (Some("raw"), "net"),
        (Some("model"), "net"),
        (Some("net"), "net"),
        (Some("net2"), "other.net2"),
        (Some("other.net3"), "other.net3"),
    ] {
        assert_eq!(chosen(asked).unwrap(), name, "{asked:?}");
    }
    assert!(chosen(Some("other")).unwrap_err().to_string().contains("name one in full"));
    let message = chosen(Some("swa")).unwrap_err().to_string();
    assert!(message.contains("EMA, net, other.net2, other.net3"), "{message}");
    let raw = [sets[1]];
    assert!(choose(&raw, Some("ema"), Path::new("file.pt")).is_err());
}
