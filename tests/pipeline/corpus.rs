//! The corpus of the fuzzer, replayed: what was ever found stays found, and the programs stay whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tranship_adapters::clock::SimulatedClock;
use tranship_core::object::Millis;
use tranship_core::ports::Clock as _;
use tranship_tests::programs::PROGRAMS;

/// Changed inputs of each program.
const ROUNDS: usize = 2_000;

/// All of the corpus is read by everybody who fetches the sources.
const CORPUS_MAX_BYTES: usize = 300 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The names of what lies in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_input_of_the_corpus_keeps_the_promises_of_its_program() {
    let mut bytes = 0;
    for (name, program) in PROGRAMS {
        let folder = fuzz().join("corpus").join(name);
        let inputs = names(&folder);
        assert!(inputs.len() > 2, "{name} has next to no corpus");
        for input in inputs {
            let data = std::fs::read(folder.join(&input)).unwrap();
            bytes += data.len();
            let kept = std::panic::catch_unwind(|| program(&data));
            assert!(kept.is_ok(), "fuzz/corpus/{name}/{input}");
        }
        // Neither nothing at all nor what nobody writes is too little or too much for any of them.
        for data in [&[][..], &[0; 64], &[0xff; 64], b"\n\n\n"] {
            program(data);
        }
    }
    assert!(bytes < CORPUS_MAX_BYTES, "{bytes}");
}

/// A byte that is changed, lost, doubled or taken from another input, a few times over.
fn changed(clock: &SimulatedClock, data: &[u8], other: &[u8]) -> Vec<u8> {
    let below = |end: usize| usize::try_from(clock.random()).unwrap_or_default() % end.max(1);
    let mut data = data.to_vec();
    for _ in 0..=below(4) {
        let at = below(data.len());
        let to = at + below(data.len() - at).min(64);
        match below(6) {
            0 => data.truncate(at),
            1 => drop(data.drain(at..to)),
            2 => data.extend_from_within(at..to),
            3 if !other.is_empty() => {
                let from = below(other.len());
                let some = other.iter().skip(from).take(below(64)).copied();
                drop(data.splice(at..at, some));
            }
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = u8::try_from(below(256)).unwrap_or_default();
                }
            }
        }
    }
    data
}

/// What a fuzzer does in an hour, for a moment and without a compiler of its own: always the same inputs.
#[test]
fn inputs_that_are_much_like_those_of_the_corpus_keep_the_promises_too() {
    let clock = SimulatedClock::automatic(Millis(1), 1);
    for (name, program) in PROGRAMS {
        let folder = fuzz().join("corpus").join(name);
        let inputs: Vec<_> =
            names(&folder).iter().map(|input| std::fs::read(folder.join(input)).unwrap()).collect();
        for round in 0..ROUNDS / inputs.len() {
            for (input, other) in inputs.iter().zip(inputs.iter().cycle().skip(round)) {
                let data = changed(&clock, input, other);
                let kept = std::panic::catch_unwind(|| program(&data));
                assert!(kept.is_ok(), "{name}: {:?}", String::from_utf8_lossy(&data));
            }
        }
    }
}

#[test]
fn every_program_is_built_and_has_a_corpus() {
    let known: BTreeSet<_> = PROGRAMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("corpus")), known);
    let sources = known.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz().join("programs")), sources);
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let built = manifest["bin"].as_array().unwrap().iter();
    let built: BTreeSet<_> =
        built.map(|program| program["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(built, known);
}
