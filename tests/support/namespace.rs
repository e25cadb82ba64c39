//! A network of its own for a process: what it reaches of this machine, and over what a link, a test says.
//!
//! It takes root and the kernel's tunnel devices, which not every machine that runs tests gives.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A namespace of the network, with its loopback.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// What leads out of it. It ends first.
    ways: Vec<Way>,
}

/// A program that carries bytes between the namespace and this machine.
#[derive(Debug)]
struct Way {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Namespace {
    pub fn new(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Self { name, ways: Vec::new() };
        ip(&["netns", "exec", &namespace.name, "ip", "link", "set", "lo", "up"]);
        namespace
    }

    /// What runs a command within it.
    pub fn place(&self) -> Vec<&str> {
        vec!["ip", "netns", "exec", &self.name]
    }

    /// These ports of this machine's loopback are its own, too.
    pub fn reaches(&mut self, ports: &[u16]) {
        self.lead("gate.py", &[], ports);
    }

    /// These ports as well, and over a link of that round trip, loss and rate.
    pub fn reaches_over(&mut self, round_trip_ms: u32, loss: f64, mbit: u32, ports: &[u16]) {
        let link = [round_trip_ms.to_string(), loss.to_string(), mbit.to_string()];
        self.lead("longlink.py", &link, ports);
    }

    /// Ends what is connected, and lets nothing through any more; or lets it through again.
    pub fn cut(&mut self, cut: bool) {
        for way in &mut self.ways {
            let input = way.input.as_mut().unwrap();
            input.write_all(if cut { b"cut\n" } else { b"mend\n" }).unwrap();
            way.wait_for("done");
        }
    }

    fn lead(&mut self, program: &str, words: &[String], ports: &[u16]) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("support").join(program);
        let mut child = Command::new("python3")
            .arg(program)
            .arg(&self.name)
            .args(words)
            .args(ports.iter().map(u16::to_string))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let mut way = Way { child, input, output: BufReader::new(output) };
        way.wait_for("ready");
        self.ways.push(way);
    }
}

impl Way {
    #[track_caller]
    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word, "what leads into the namespace has ended");
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().ok();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.ways.clear();
        Command::new("ip").args(["netns", "del", &self.name]).status().ok();
    }
}

#[track_caller]
fn ip(words: &[&str]) {
    let status = Command::new("ip").args(words).status().unwrap();
    assert!(
        status.success(),
        "ip {}: this takes root, and a kernel with namespaces",
        words.join(" ")
    );
}
