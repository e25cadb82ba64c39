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
        (&["demo", "--help"], "--small"),
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
