//! Steps in waves: those of a wave need nothing but what earlier ones have done.

use super::results::Results;
use super::step::Step;
use std::collections::BTreeMap;

/// Steps that one array of jobs carries out: of one wave and one command, whose resources are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// Place of its wave.
    pub wave: usize,
    /// The command of its steps.
    pub command: &'a str,
    /// Each once.
    pub steps: Vec<&'a Step>,
}

/// The steps that are not done, in groups; those of a wave follow those of the waves before.
pub fn groups<'a>(steps: &'a [Step], results: &Results) -> Vec<Group<'a>> {
    let mut wave_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    // A step stands behind those that it needs.
    for step in steps.iter().filter(|step| results.done(&step.key).is_none()) {
        if wave_of.contains_key(step.key.as_str()) {
            continue;
        }
        let wave = step.needs().filter_map(|key| wave_of.get(key)).max().map_or(0, |wave| wave + 1);
        wave_of.insert(&step.key, wave);
        match groups.iter_mut().find(|group| (group.wave, group.command) == (wave, step.command.as_str())) {
            Some(group) => group.steps.push(step),
            None => groups.push(Group { wave, command: &step.command, steps: vec![step] }),
        }
    }
    groups.sort_by_key(|group| group.wave);
    groups
}

#[cfg(test)]
mod tests {
    use super::super::results::Done;
    use super::super::step::Word;
    use super::*;

    #[test]
    fn what_needs_a_step_is_in_a_later_wave() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path().into());
        let train = |seed| Step::new("train", "", None, seed, Vec::new());
        let on = |command: &str, key: &str| Step::new(command, "", None, 0, vec![Word::Output(key.into(), "model.pt")]);
        let trained = [train(0), train(1)];
        let theory = Step::new("theory", "", None, 0, Vec::new());
        let compared = on("compare", &trained[0].key);
        let evaluated = on("evaluate", &trained[1].key);
        let [a, b] = trained;
        let steps = [a, b.clone(), compared, evaluated, theory, b];
        let told = |groups: &[Group]| -> Vec<(usize, String, usize)> {
            groups.iter().map(|group| (group.wave, group.command.to_string(), group.steps.len())).collect()
        };
        let expected = [(0, "train", 2), (0, "theory", 1), (1, "compare", 1), (1, "evaluate", 1)];
        assert_eq!(
            told(&groups(&steps, &results)),
            expected.map(|(wave, name, count)| (wave, name.to_string(), count))
        );
        // What is done is in no wave, and what needs it alone is in the first.
        std::fs::create_dir_all(results.folder(&steps[0].key)).unwrap();
        results.finish(&steps[0].key, &Done { name: "a".into(), command: Vec::new(), wall_seconds: 1.0 }).unwrap();
        let left = groups(&steps, &results);
        assert!(left.iter().any(|group| group.wave == 0 && group.command == "compare"), "{left:?}");
    }
}
