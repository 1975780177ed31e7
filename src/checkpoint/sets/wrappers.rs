//! Words that wrappers of modules put into the names of parameters, in front or anywhere within.

/// `DistributedDataParallel` and `DataParallel`; Lightning's and Fabric's strategies. They may also tell sets apart.
const PUBLIC: [&str; 1] = ["module"];
/// `torch.compile`, FSDP, activation checkpointing, Fabric. They never tell sets apart.
const PRIVATE: [&str; 5] =
    ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_original_module"];

fn is_wrapper(part: &str) -> bool {
    PUBLIC.contains(&part) || PRIVATE.contains(&part)
}

/// The name without all wrappers' words.
pub(super) fn without(name: &str) -> String {
    name.split('.').filter(|part| !is_wrapper(part)).collect::<Vec<_>>().join(".")
}

/// The name without the words that never tell sets apart.
pub(super) fn without_private(name: &str) -> String {
    name.split('.').filter(|part| !PRIVATE.contains(part)).collect::<Vec<_>>().join(".")
}

/// What stands before `own` in `name`, whose parts may have wrappers between them; `None` where `name` does not end so.
pub(super) fn before<'a>(name: &'a str, own: &str) -> Option<&'a str> {
    let mut end = name.len();
    for (i, wanted) in own.rsplit('.').enumerate() {
        loop {
            let rest = name.get(..end)?;
            let start = rest.rfind('.').map_or(0, |dot| dot + 1);
            let part = rest.get(start..)?;
            let found = part == wanted;
            if !found && (i == 0 || !is_wrapper(part) || start == 0) {
                return None;
            }
            // The dot before the part; a name that begins here has none.
            end = start.saturating_sub(1);
            if found {
                if start == 0 {
                    let last = i + 1 == own.split('.').count();
                    return last.then_some("");
                }
                break;
            }
        }
    }
    name.get(..end + 1)
}
