//! Help, version and completions: what the command says of itself.

use crate::support::{World, run};

#[tokio::test(flavor = "multi_thread")]
async fn help_version_and_completions_succeed() {
    let world = World::new().await;
    for (args, part) in [
        (&["--help"][..], "130  interrupted"),
        (&["copy", "--help"], "TRANSHIP_PART_SIZE"),
        (&["copy", "--help"], "AWS_ENDPOINT_URL"),
        (&["copy", "-h"], "--sse-kms-key-id"),
        (&["plan", "--help"], "--egress-price"),
        (&["plan", "--help"], "130  interrupted"),
        (&["verify", "--help"], "U  unproven"),
        (&["verify", "-h"], "--ignore-extra"),
        (&["doctor", "--help"], "--print-policy"),
        (&["demo", "--help"], "--small"),
        (&["status", "--help"], "--watch"),
        (&["run", "--help"], "lambda:InvokeFunction"),
        (&["retry", "-h"], "Exit codes:"),
        (&["pause", "--help"], "--profile"),
        (&["resume", "--help"], "--region"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "_tranship"),
        (&["completions", "zsh"], "#compdef tranship"),
        (&["completions", "fish"], "complete -c tranship"),
        (&["completions", "elvish"], "edit:completion"),
        (&["completions", "powershell"], "Register-ArgumentCompleter"),
    ] {
        let mut command = world.bare(args);
        // Help may be wrapped anywhere else.
        command.env("COLUMNS", "200");
        let done = run(command);
        assert_eq!(done.code, Some(0), "{args:?}: {done}");
        assert!(done.out.contains(part), "{args:?}: {done}");
        assert_eq!(done.err, "", "{args:?}");
    }
    assert!(world.files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_takes_its_completions() {
    let world = World::new().await;
    let script = run(world.bare(&["completions", "bash"])).out;
    world.write("completions.bash", &script);
    let mut bash = std::process::Command::new("bash");
    let line = "COMP_WORDS=(tranship copy --part-s); COMP_CWORD=2; _tranship tranship --part-s copy; echo \"${COMPREPLY[@]}\"";
    bash.arg("-c").arg(format!("source completions.bash; {line}")).current_dir(world.path(""));
    let output = bash.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "--part-size", "{output:?}");
}

fn document(name: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

fn help(world: &World, args: &[&str]) -> String {
    let mut command = world.bare(args);
    command.env("COLUMNS", "200");
    run(command).out
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_name_only_options_that_exist() {
    let world = World::new().await;
    let commands =
        ["copy", "plan", "verify", "doctor", "demo", "status", "run", "retry", "pause", "resume"];
    let known: String = commands.iter().map(|command| help(&world, &[command, "--help"])).collect();
    let end = |c: char| !(c.is_ascii_lowercase() || c == '-');
    let known: Vec<_> = known.split(end).filter(|word| word.starts_with("--")).collect();
    let mut seen = 0;
    for name in ["README.md", "docs/SEMANTICS.md", "CHANGELOG.md"] {
        let text = document(name);
        let of_others = |line: &&str| line.contains("cargo ") || line.starts_with("sam ");
        for line in text.lines().filter(|line| !of_others(line)) {
            for option in line.split(end).filter(|word| word.starts_with("--") && word.len() > 3) {
                let is_rule = option.bytes().all(|byte| byte == b'-');
                seen += 1;
                assert!(is_rule || known.contains(&option), "{name}: {option}");
            }
        }
    }
    assert!(seen > 10, "the options were read: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_has_the_exit_codes_of_the_help() {
    let world = World::new().await;
    let help = help(&world, &["--help"]);
    let (_, codes) = help.split_once("Exit codes:").unwrap();
    let number = |text: &str| text.trim().parse::<u8>().ok();
    let of_help: Vec<_> =
        codes.lines().filter_map(|line| number(line.split_whitespace().next()?)).collect();
    let readme = document("README.md");
    let of_readme: Vec<_> = readme
        .lines()
        .filter_map(|line| number(line.strip_prefix('|')?.split('|').next()?))
        .collect();
    assert_eq!(of_help, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
    assert_eq!(of_readme, of_help);
}
