//! Runs targets over what is kept of them, without libfuzzer and on any toolchain: each corpus, each regression, and
//! seeded mutations of both. Every crate with targets includes this file into the tests beside them.

use std::boxed::Box;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;
use std::{format, fs};

/// Mutated inputs a target is given: enough that breaking a rule by hand shows, few enough to wait for.
const MUTATIONS: u64 = 2_000;
/// Mutated inputs are no longer than this, in bytes: long ones are slow and find little.
const LONGEST: usize = 4_096;
/// The variable that names a file: only that is run, as `cargo xtask fuzz` says when it has found something.
const ONE_FILE: &str = "STEADFAST_FUZZ_INPUT";
/// The same for a single mutation, by its number.
const ONE_SEED: &str = "SEED";

/// Replays every target.
pub(crate) fn all(targets: &[crate::fuzzing::Target]) {
    let only_seed: Option<u64> = std::env::var(ONE_SEED).ok().and_then(|seed| seed.parse().ok());
    for (name, body) in targets {
        if let Some(file) = std::env::var_os(ONE_FILE).map(PathBuf::from) {
            if file.components().any(|part| part.as_os_str() == *name) {
                run(name, *body, &Input::of_file(&file));
            }
            continue;
        }
        let kept = kept(name);
        assert!(!kept.is_empty(), "fuzz/corpus/{name} is empty: a target begins with a handful of inputs that matter");
        let words = words(name);
        kept.iter().for_each(|input| run(name, *body, input));
        for seed in 0..MUTATIONS {
            if only_seed.is_none_or(|only| only == seed) {
                run(name, *body, &mutated(seed, &kept, &words));
            }
        }
    }
}

/// An input, and how it is told apart from others.
struct Input {
    origin: String,
    bytes: Vec<u8>,
}

impl Input {
    fn of_file(file: &Path) -> Input {
        let bytes = fs::read(file).unwrap_or_else(|e| panic!("read {}: {e}", file.display()));
        Input { origin: format!("{}", file.display()), bytes }
    }
}

/// Says which input it was when the body panics.
struct Tell<'a> {
    name: &'a str,
    input: &'a Input,
}

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (name, Input { origin, bytes }) = (self.name, self.input);
            std::eprintln!("fuzz target {name} failed on {origin}:\n    b\"{}\"", bytes.escape_ascii());
            std::eprintln!("keep it in fuzz/regressions/{name}/ once it is mended");
        }
    }
}

fn run(name: &str, body: fn(&[u8]), input: &Input) {
    let _tell = Tell { name, input };
    body(&input.bytes);
}

fn home() -> PathBuf {
    // The directory of any of our crates is two below the top.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn kept(name: &str) -> Vec<Input> {
    let mut files: Vec<PathBuf> = Vec::new();
    for place in ["corpus", "regressions"] {
        if let Ok(entries) = fs::read_dir(home().join(place).join(name)) {
            files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
        }
    }
    // So that a seed means the same everywhere.
    files.sort();
    files.iter().map(|file| Input::of_file(file)).collect()
}

/// The words of the target's dictionary, in libfuzzer's form: a quoted string a line, with `\xNN`.
fn words(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(home().join("dictionaries").join(name)).unwrap_or_default();
    let quoted = text.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix('"'));
    quoted.map(unquoted).collect()
}

fn unquoted(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (byte, used) = match (first, tail) {
            (b'\\', [b'x', high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default() as u8;
                (digit(high) << 4 | digit(low), 4)
            }
            (b'\\', [escaped, ..]) => (*escaped, 2),
            _ => (*first, 1),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    bytes
}

fn mutated(seed: u64, kept: &[Input], words: &[Vec<u8>]) -> Input {
    let mut random = Random(seed);
    let start = &kept[random.below(kept.len())];
    let mut bytes = start.bytes.clone();
    for _ in 0..=random.below(4) {
        mutate(&mut bytes, &mut random, kept, words);
    }
    bytes.truncate(LONGEST);
    let file = Path::new(&start.origin).file_name().map(|name| name.to_string_lossy().into_owned());
    Input { origin: format!("{ONE_SEED}={seed} (made of {})", file.unwrap_or_default()), bytes }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random, kept: &[Input], words: &[Vec<u8>]) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below(bytes.len() - at + 1);
    let piece: Box<[u8]> = match random.below(7) {
        0 => Box::default(),
        1 => Box::new([random.below(256) as u8]),
        2 => bytes[at..end].repeat(1 + random.below(3)).into(),
        3 => {
            let other = &kept[random.below(kept.len())].bytes;
            let from = random.below(other.len() + 1);
            other[from..from + random.below(other.len() - from + 1)].into()
        }
        4 | 5 if !words.is_empty() => words[random.below(words.len())].as_slice().into(),
        _ => {
            let flipped = bytes.get(at).map(|byte| byte ^ 1 << random.below(8));
            flipped.into_iter().collect()
        }
    };
    // A piece stands instead of a few bytes or between two.
    let end = if random.below(2) == 0 { (at + piece.len()).min(bytes.len()) } else { end.min(at + random.below(9)) };
    bytes.splice(at..end, piece.iter().copied());
}

/// SplitMix64.
struct Random(u64);

impl Random {
    /// Less than `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
