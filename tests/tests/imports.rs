//! No file imports itself by way of others: the graph of imports between the files of each crate.
//!
//! The scanner reads text, not macros: paths that begin with `crate`, `super`, `self` or a child module.
//! An item is looked up where it is defined, so a parent that only re-exports imports nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Crates, and how many of their files still are in circles. These numbers may only become smaller.
const KNOWN: [(&str, usize); 8] = [
    ("runtime/src", 0),
    ("trainer/src", 0),
    ("tools/src", 0),
    ("tools/host/src", 0),
    ("tools/xtask/src", 0),
    ("firmware/link/src", 0),
    ("firmware/app/src", 0),
    ("firmware/chips/src", 0),
];

type Module = Vec<String>;

/// What one file says.
#[derive(Default)]
struct File {
    /// Paths from the crate's root, with whether they are only handed on (`pub use`).
    paths: Vec<(Vec<String>, bool)>,
    /// Names that it defines.
    defined: HashSet<String>,
}

/// Words, `::` and single signs; comments, texts and test modules are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut i) = (Vec::new(), 0);
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            while i < chars.len() && !(at(i) == '*' && at(i + 1) == '/') {
                i += 1;
            }
            i += 2;
        } else if c == 'r'
            && (at(i + 1) == '"' || (at(i + 1) == '#' && matches!(at(i + 2), '"' | '#')))
        {
            let hashes = chars[i + 1..].iter().take_while(|&&c| c == '#').count();
            i += hashes + 2;
            while i < chars.len() && !(at(i) == '"' && (1..=hashes).all(|k| at(i + k) == '#')) {
                i += 1;
            }
            i += hashes + 1;
        } else if c == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character, not a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            found.push(chars[start..i].iter().collect());
        } else if c == ':' && at(i + 1) == ':' {
            found.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            i += 1;
        }
    }
    without_tests(found)
}

/// Takes out `#[cfg(test)] mod NAME { ... }` and single items under `#[cfg(test)]`.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut i) = (Vec::new(), 0);
    while i < tokens.len() {
        if i + mark.len() <= tokens.len() && (0..mark.len()).all(|k| tokens[i + k] == mark[k]) {
            let mut depth = 0_i32;
            while i < tokens.len() {
                match tokens[i].as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                let end = matches!(tokens[i].as_str(), "}" | ";") && depth == 0;
                i += 1;
                if end {
                    break;
                }
            }
        } else {
            kept.push(tokens[i].clone());
            i += 1;
        }
    }
    kept
}

/// The paths of a tree that goes on at `i` after `prefix`; returns where it ends.
fn tree(tokens: &[String], mut i: usize, prefix: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(i).map(String::as_str) {
            Some("{") => {
                i += 1;
                while i < tokens.len() && tokens[i] != "}" {
                    let next = tree(tokens, i, &path, out);
                    i = if next == i { i + 1 } else { next };
                    // `as NAME` and commas.
                    while i < tokens.len() && tokens[i] != "}" && tokens[i] != "," {
                        i += 1;
                    }
                    i += usize::from(i < tokens.len() && tokens[i] == ",");
                }
                return i + 1;
            }
            Some(word)
                if word == "*" || word.starts_with(|c: char| c.is_alphabetic() || c == '_') =>
            {
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                i += 1;
                if tokens.get(i).is_none_or(|next| next != "::") {
                    out.push(path);
                    return i;
                }
                i += 1;
            }
            // A turbofish, or the end.
            _ => {
                out.push(path);
                return i;
            }
        }
    }
}

fn scan(text: &str, module: &[String]) -> File {
    let tokens = tokens(text);
    let word = |i: usize| tokens.get(i).map_or("", String::as_str);
    let children: HashSet<&str> = (0..tokens.len())
        .filter(|&i| word(i) == "mod" && word(i + 2) == ";")
        .map(|i| word(i + 1))
        .collect();
    let mut file = File::default();
    let (mut inline, mut depth, mut handed_on) = (Vec::<(usize, String)>::new(), 0_usize, false);
    let mut i = 0;
    while i < tokens.len() {
        match word(i) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.retain(|(at, _)| *at < depth);
            }
            ";" => handed_on = false,
            "mod" if word(i + 2) == "{" => inline.push((depth, word(i + 1).to_owned())),
            "fn" | "struct" | "enum" | "trait" | "const" | "static" | "type" | "union" => {
                file.defined.insert(word(i + 1).to_owned());
            }
            "use" => {
                // `pub use`, `pub(crate) use`: before it stands `pub` or a closing bracket.
                handed_on = i > 0 && matches!(word(i - 1), "pub" | ")");
            }
            _ => {}
        }
        let begins = word(i + 1) == "::" && (i == 0 || !matches!(word(i - 1), "::" | "."));
        let first = word(i);
        if begins && (matches!(first, "crate" | "super" | "self") || children.contains(first)) {
            let mut here: Module = module.to_vec();
            here.extend(inline.iter().map(|(_, name)| name.clone()));
            let mut at = i;
            let base = match first {
                "crate" => Some(Vec::new()),
                "self" | "super" => {
                    while word(at) == "super" {
                        here.pop();
                        if word(at + 2) != "super" {
                            break;
                        }
                        at += 2;
                    }
                    Some(here)
                }
                _ => None,
            };
            let mut found = Vec::new();
            let end = match base {
                Some(base) => tree(&tokens, at + 2, &base, &mut found),
                None => tree(&tokens, i, module, &mut found),
            };
            file.paths.extend(found.into_iter().map(|path| (path, handed_on)));
            i = end.max(i + 1);
            continue;
        }
        i += 1;
    }
    file
}

struct Crate {
    files: BTreeMap<Module, (PathBuf, File)>,
}

impl Crate {
    fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![src.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    let relative = path.strip_prefix(src).unwrap().with_extension("");
                    let mut module: Module =
                        relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
                        module.pop();
                    }
                    // A binary beside a library is nobody's module; alone it is the root.
                    if module == ["main"] && !src.join("lib.rs").exists() {
                        module.clear();
                    }
                    let at = if module == ["main"] { Vec::new() } else { module.clone() };
                    let file = scan(&std::fs::read_to_string(&path).unwrap(), &at);
                    files.insert(module, (path, file));
                }
            }
        }
        Self { files }
    }

    /// The file that defines what a path names, by way of those that hand it on.
    fn resolve(&self, path: &[String], seen: &mut HashSet<Vec<String>>) -> Option<&Module> {
        if !seen.insert(path.to_vec()) {
            return None;
        }
        let length = (0..=path.len()).rev().find(|&n| self.files.contains_key(&path[..n]))?;
        let (module, (_, file)) = self.files.get_key_value(&path[..length])?;
        let Some(item) = path.get(length).filter(|item| *item != "*") else { return Some(module) };
        if file.defined.contains(item) {
            return Some(module);
        }
        let handed = |last: &str| {
            let all = file.paths.iter().filter(|(_, handed_on)| *handed_on);
            all.map(|(path, _)| path.clone())
                .filter(|p| p.last().is_some_and(|l| l == last))
                .collect::<Vec<_>>()
        };
        for path in handed(item) {
            if let Some(found) = self.resolve(&path, seen) {
                return Some(found);
            }
        }
        for mut path in handed("*") {
            path.pop();
            path.push(item.clone());
            if let Some(found) = self.resolve(&path, seen)
                && self.files[found].1.defined.contains(item)
            {
                return Some(found);
            }
        }
        Some(module)
    }

    fn edges(&self) -> HashMap<&Module, BTreeSet<&Module>> {
        let mut edges: HashMap<&Module, BTreeSet<&Module>> = HashMap::new();
        for (module, (_, file)) in &self.files {
            let own = edges.entry(module).or_default();
            for (path, _) in file.paths.iter().filter(|(_, handed_on)| !handed_on) {
                own.extend(
                    self.resolve(path, &mut HashSet::new()).filter(|found| *found != module),
                );
            }
        }
        edges
    }

    /// Sets of files that reach each other.
    fn circles(&self) -> Vec<BTreeSet<&Module>> {
        let edges = self.edges();
        let reached: HashMap<&Module, HashSet<&Module>> = edges
            .keys()
            .map(|&from| {
                let (mut seen, mut left) = (HashSet::new(), vec![from]);
                while let Some(at) = left.pop() {
                    left.extend(edges[at].iter().copied().filter(|to| seen.insert(*to)));
                }
                (from, seen)
            })
            .collect();
        let circles: BTreeSet<BTreeSet<&Module>> = reached
            .iter()
            .filter(|(from, seen)| seen.contains(**from))
            .map(|(from, seen)| {
                seen.iter().copied().filter(|to| reached[to].contains(*from)).collect()
            })
            .collect();
        circles.into_iter().collect()
    }
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut wrong = Vec::new();
    for (src, known) in KNOWN {
        let src = root.join(src);
        if !src.is_dir() {
            continue;
        }
        let read = Crate::read(&src);
        let (circles, edges) = (read.circles(), read.edges());
        for circle in &circles {
            println!("CIRCLE in {}:", src.display());
            for module in circle {
                let to: Vec<String> = edges[module]
                    .iter()
                    .filter(|to| circle.contains(*to))
                    .map(|to| to.join("::"))
                    .collect();
                println!("  {} uses {}", read.files[*module].0.display(), to.join(", "));
            }
        }
        let count: usize = circles.iter().map(BTreeSet::len).sum();
        if count < known {
            println!("FEWER CIRCLES: write {count} instead of {known} for {}", src.display());
        }
        if count > known {
            wrong.push(format!("{}: {count} files in circles, {known} are known", src.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Circles of a crate made of these files.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let read = Crate::read(folder.path());
    let join = |circle: BTreeSet<&Module>| circle.iter().map(|module| module.join("::")).collect();
    read.circles().into_iter().map(join).collect()
}

#[test]
fn circles_are_found_and_what_is_none_is_not() {
    let lib = ("lib.rs", "mod a; mod b;");
    let found = circles_of(&[
        lib,
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "fn f(_: super::a::A) {} pub struct B;"),
    ]);
    assert_eq!(found, [["a", "b"]]);
    // In a test module, a comment, a text.
    let quiet = "#[cfg(test)] mod tests { use crate::a::A; } // crate::a::A\nconst T: &str = \"crate::a::A\"; pub struct B;";
    assert!(circles_of(&[lib, ("a.rs", "use crate::b::{self, B};"), ("b.rs", quiet)]).is_empty());
    // A parent that hands on.
    let parent = ("a/mod.rs", "mod c; mod d; pub use c::C; pub use d::*;");
    let (c, d) = (("a/c.rs", "pub struct C; use super::D;"), ("a/d.rs", "pub struct D;"));
    assert!(circles_of(&[("lib.rs", "mod a;"), parent, c, d]).is_empty());
    // A parent that uses a child which uses what the parent defines.
    let parent = ("a/mod.rs", "mod c; pub struct P; fn f() { c::g() }");
    let child = ("a/c.rs", "use super::P; pub fn g() {}");
    assert_eq!(circles_of(&[("lib.rs", "mod a;"), parent, child]), [["a", "a::c"]]);
}

#[test]
fn nothing_in_the_runtime_unwraps_or_panics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let stops = ["panic", "unreachable", "todo", "unimplemented", "assert", "assert_eq"];
    let mut wrong = Vec::new();
    for (path, _) in Crate::read(&root.join("runtime/src")).files.values() {
        for three in tokens(&std::fs::read_to_string(path).unwrap()).windows(3) {
            let called = three[0] == "." && ["unwrap", "expect"].contains(&three[1].as_str());
            if called || (three[2] == "!" && stops.contains(&three[1].as_str())) {
                wrong.push(format!("{}: {}", path.display(), three.concat()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
