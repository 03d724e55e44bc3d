//! Help and completions, which need no tower.

use crate::operator::Operator;

#[test]
fn help_teaches_by_example() {
    let operator = Operator::new().with("KEYWARD_TOKEN", "hunter2").with("KEYWARD_CA", "hunter3");
    let help = operator.run(&["--help"]).data();
    for part in
        ["login --bootstrap", "bulk -f", "aws-trust-policy", "KEYWARD_TOWER", "Exit codes", "3 tower unreachable"]
    {
        assert!(help.contains(part), "{part}");
    }
    assert!(!help.contains("hunter"), "values of the environment are not shown");
    for command in ["login", "show", "create", "replace", "merge", "bulk", "do", "completions"] {
        let help = operator.run(&[command, "--help"]).data();
        assert!(help.contains("Examples:"), "{command}");
        assert!(help.contains(&format!("supctl {command}")), "{command}");
    }
}

#[test]
fn usage_errors_are_exit_two() {
    let operator = Operator::new();
    for args in [vec![], vec!["sho"], vec!["show"], vec!["show", "x", "--output", "xml"], vec!["completions", "csh"]] {
        assert!(!operator.run(&args).failed(2).is_empty(), "{args:?}");
    }
}

#[test]
fn completions_for_three_shells() {
    let operator = Operator::new();
    for (shell, part) in [("bash", "complete -F _supctl"), ("zsh", "#compdef supctl"), ("fish", "complete -c supctl")] {
        assert!(operator.run(&["completions", shell]).data().contains(part), "{shell}");
    }
}
