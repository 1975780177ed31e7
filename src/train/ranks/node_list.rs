//! Slurm's lists of nodes.

/// The first node of a list such as `n[01-03,7],gpu5`; `None` where it is none.
pub(super) fn first(list: &str) -> Option<String> {
    let (mut name, mut rest) = (String::new(), list.trim());
    while let Some(open) = rest.find(['[', ',']) {
        name.push_str(&rest[..open]);
        if rest[open..].starts_with(',') {
            rest = "";
            break;
        }
        let (inside, behind) = rest[open + 1..].split_once(']')?;
        let number = inside.split([',', '-']).next()?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        name.push_str(number);
        rest = behind;
    }
    name.push_str(rest);
    let usable = !name.is_empty() && !name.contains([']', ' ']);
    usable.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_node_keeps_its_zeros() {
        for (list, node) in [
            ("n1", "n1"),
            ("n[01-03,7]", "n01"),
            ("n[7,1-3]", "n7"),
            ("gpu5,n[1-2]", "gpu5"),
            ("cn-a[003-010],m1", "cn-a003"),
            ("rack[1-2]n[05-09]", "rack1n05"),
            ("n[3-4]-ib,n9", "n3-ib"),
            ("host.example.org", "host.example.org"),
        ] {
            assert_eq!(first(list).as_deref(), Some(node), "{list}");
        }
        for list in ["", " ", "n[", "n[]", "n[-3]", "n[a-b]", ",n1", "n1]"] {
            assert_eq!(first(list), None, "{list}");
        }
    }
}
