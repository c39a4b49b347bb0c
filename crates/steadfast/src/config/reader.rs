//! Reads a TOML document key by key. Every key is asked for once, by the code that knows what it means; what nobody
//! asked for is unknown, and said so with its place and the nearest key there is.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use steadfast_core::Weight;
use steadfast_core::client::Sources;
use steadfast_core::settings::{BadSticky, Value, WeightRule};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems, listed, nearest};

/// The value of an environment variable, if it is set.
pub(super) type Environment<'s> = &'s dyn Fn(&str) -> Option<String>;

/// One file while it is read, and what was found wrong so far.
pub(super) struct Source<'s> {
    name: &'s str,
    text: &'s str,
    environment: Environment<'s>,
    /// The variables that were put in, with their values: what is told of the file names them instead.
    put_in: RefCell<Vec<(String, String)>>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A table whose keys are being asked for.
pub(super) struct Table<'s> {
    source: &'s Source<'s>,
    /// As it is written: `[sets.web]`; the file itself is `the file`.
    name: String,
    /// The keys that lead here, for the names of tables below.
    path: String,
    table: &'s DeTable<'s>,
    span: Range<usize>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'s> Source<'s> {
    pub(super) fn new(name: &'s str, text: &'s str, environment: Environment<'s>) -> Source<'s> {
        let (problems, warnings, put_in) = (RefCell::default(), RefCell::default(), RefCell::default());
        Source { name, text, environment, put_in, problems, warnings }
    }

    /// Parses `text`; what is not TOML at all ends the reading here.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'s>>, Problems> {
        DeTable::parse(self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            Problems(vec![Problem::at(self.name, self.text, span, error.message().to_owned())])
        })
    }

    /// Notes that what stands at `span` is wrong.
    pub(super) fn wrong(&self, span: &Range<usize>, what: impl Into<String>) {
        let what = by_name(what.into(), &self.put_in.borrow());
        self.problems.borrow_mut().push(Problem::at(self.name, self.text, span.clone(), what));
    }

    /// Notes that what stands at `span` may not be what is meant.
    pub(super) fn doubt(&self, span: &Range<usize>, what: impl Into<String>) {
        let what = by_name(what.into(), &self.put_in.borrow());
        self.warnings.borrow_mut().push(Problem::at(self.name, self.text, span.clone(), what));
    }

    /// What was noted of things that may not be meant, in the order of the file.
    pub(super) fn warnings(&self) -> Problems {
        let mut warnings = self.warnings.take();
        warnings.sort_by_key(|warning| warning.offset);
        Problems(warnings)
    }

    /// `value`, unless something was wrong.
    pub(super) fn finish<T>(&self, value: Option<T>) -> Result<T, Problems> {
        let mut problems = self.problems.take();
        problems.sort_by_key(|problem| problem.offset);
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Problems(problems)),
        }
    }

    /// `text` with each `${NAME}` replaced by the environment's value; `$${` stands for `${`.
    pub(super) fn substituted(&self, text: &str, span: &Range<usize>) -> Option<String> {
        let mut done = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            if let Some(plain) = before.strip_suffix('$') {
                done.push_str(plain);
                done.push_str("${");
                rest = &from[2..];
                continue;
            }
            done.push_str(before);
            let Some(end) = from.find('}') else {
                self.wrong(span, "\"${\" without \"}\"; write \"$${\" for the two characters themselves");
                return None;
            };
            let name = &from[2..end];
            match (self.environment)(name) {
                Some(value) => {
                    done.push_str(&value);
                    self.put_in.borrow_mut().push((name.to_owned(), value));
                }
                None => {
                    self.wrong(
                        span,
                        format!(
                            "the environment variable {name:?} is not set; write \"$${{\" where no variable is meant"
                        ),
                    );
                    return None;
                }
            }
            rest = &from[end + 1..];
        }
        done.push_str(rest);
        Some(done)
    }
}

/// `what`, with every value that came from the environment told by its variable's name: it may be a secret, which is
/// why it stands there.
fn by_name(mut what: String, put_in: &[(String, String)]) -> String {
    /// A value as short as this is no secret, and its letters are in every sentence.
    const SHORT_BYTES: usize = 3;
    for (name, value) in put_in.iter().filter(|(_, value)| value.len() > SHORT_BYTES) {
        let variable = format!("${{{name}}}");
        for form in [value.clone(), value.escape_debug().to_string()] {
            what = without_cut(&what.replace(&form, &variable), &form, &variable);
        }
    }
    what
}

/// `what`, which may quote a text that was cut in the middle of `value`: the beginning of it is there, and then a quote.
fn without_cut(what: &str, value: &str, variable: &str) -> String {
    /// Less of a value gives nothing away.
    const TELLING_CHARS: usize = 4;
    let beginning: String = value.chars().take(TELLING_CHARS).collect();
    let (mut done, mut rest) = (String::new(), what);
    while let Some(at) = rest.find(&beginning) {
        let common = rest[at..].chars().zip(value.chars()).take_while(|(one, other)| one == other);
        let end = at + common.map(|(c, _)| c.len_utf8()).sum::<usize>();
        done.push_str(&rest[..at]);
        done.push_str(if rest[end..].starts_with('"') { variable } else { &rest[at..end] });
        rest = &rest[end..];
    }
    done + rest
}

impl<'s> Table<'s> {
    pub(super) fn root(source: &'s Source<'s>, table: &'s Spanned<DeTable<'s>>) -> Table<'s> {
        let name = "the file".to_owned();
        Table { source, name, path: String::new(), table: table.get_ref(), span: 0..0, asked: RefCell::default() }
    }

    /// Where the table begins.
    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The file it is part of.
    pub(super) fn source(&self) -> &'s Source<'s> {
        self.source
    }

    fn get(&self, key: &'static str) -> Option<&'s Spanned<DeValue<'s>>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    fn below(&self, path: String, name: String, table: &'s DeTable<'s>, span: Range<usize>) -> Table<'s> {
        Table { source: self.source, name, path, table, span, asked: RefCell::default() }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn mismatch(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        self.source.wrong(&value.span(), format!("{key} is to be {expected}, not of type {found}"));
    }

    /// A string, with its variables replaced.
    pub(super) fn text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        self.text_of(key, value, "a string in quotes")
    }

    fn text_of(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<At<String>> {
        let span = value.span();
        match value.get_ref().as_str() {
            Some(text) => Some(At { value: self.source.substituted(text, &span)?, span }),
            None => {
                self.mismatch(key, value, expected);
                None
            }
        }
    }

    /// A string that is the text form of a `T`.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, key: &'static str) -> Option<At<T>> {
        let text = self.text(key)?;
        self.parse(key, text)
    }

    /// The text form of a `T`, already read.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, key: &str, text: At<String>) -> Option<At<T>> {
        match text.value.parse() {
            Ok(value) => Some(At { value, span: text.span }),
            Err(error) => {
                self.source.wrong(&text.span, format!("{key}: {error}"));
                None
            }
        }
    }

    /// One of the words of `choices`.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<At<T>> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words = choices.iter().map(|(word, _)| *word);
            let what = format!("{key} = {:?} is not known by this version: it knows {}", text.value, listed(words));
            self.source.wrong(&text.span, what);
        }
        found.map(|(_, value)| At { value: *value, span: text.span })
    }

    /// A whole number from `least` on.
    pub(super) fn whole(&self, key: &'static str, least: u32) -> Option<At<u32>> {
        let value = self.get(key)?;
        let number = value.get_ref().as_integer().and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
        match number.filter(|number| *number >= least) {
            Some(number) => Some(At { value: number, span: value.span() }),
            None => {
                self.source.wrong(&value.span(), format!("{key} is to be a whole number, {least} or more"));
                None
            }
        }
    }

    /// A number between 0 and 1, in thousandths.
    pub(super) fn thousandths(&self, key: &'static str) -> Option<At<u32>> {
        let value = self.get(key)?;
        let number = match value.get_ref() {
            DeValue::Float(float) => float.as_str().replace('_', "").parse::<f64>().ok(),
            DeValue::Integer(whole) => whole.as_str().parse::<f64>().ok(),
            _ => None,
        };
        match number.filter(|number| (0.0..=1.0).contains(number)) {
            Some(number) => Some(At { value: (number * 1000.0).round() as u32, span: value.span() }),
            None => {
                self.source.wrong(&value.span(), format!("{key} is to be a number from 0 to 1, such as 0.1"));
                None
            }
        }
    }

    /// Whatever stands there, with the variables of its strings replaced.
    pub(super) fn value(&self, key: &'static str) -> Option<At<Value>> {
        let value = self.get(key)?;
        Some(At { value: self.value_of(key, value)?, span: value.span() })
    }

    fn value_of(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        Some(match value.get_ref() {
            DeValue::String(_) => Value::Text(self.text_of(key, value, "a string in quotes")?.value),
            DeValue::Integer(whole) => {
                let number = u64::from_str_radix(whole.as_str(), whole.radix());
                Value::Number(number.map_or_else(|_| whole.to_string(), |number| number.to_string()))
            }
            DeValue::Float(float) => Value::Number(float.as_str().replace('_', "")),
            DeValue::Boolean(_) => Value::Other("a boolean"),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| Some(self.text_of(key, item, "a list of strings")?.value));
                Value::List(texts.collect::<Option<_>>()?)
            }
            DeValue::Table(table) => {
                let named = table.iter().map(|(name, item)| {
                    let name = name.get_ref();
                    Some((name.clone().into_owned(), self.value_of(&format!("{key}.{name}"), item)?))
                });
                Value::Table(named.collect::<Option<_>>()?)
            }
        })
    }

    /// A list of places in a request, or a single one.
    pub(super) fn sources(&self, key: &'static str) -> Option<At<Sources>> {
        let value = self.value(key)?;
        self.settled(value.span, value.value.to_sources(key))
    }

    /// A weight that is the same for all, or places in a request that say it.
    pub(super) fn weight_rule(&self, key: &'static str) -> Option<At<WeightRule>> {
        let value = self.value(key)?;
        self.settled(value.span, value.value.to_weight_rule(key))
    }

    /// A weight, as a number.
    pub(super) fn weight(&self, key: &'static str) -> Option<At<Weight>> {
        let value = self.value(key)?;
        self.settled(value.span, value.value.to_weight(key))
    }

    fn settled<T>(&self, span: Range<usize>, read: Result<T, BadSticky>) -> Option<At<T>> {
        read.map(|value| At { value, span: span.clone() })
            .map_err(|problem| self.source.wrong(&span, problem.to_string()))
            .ok()
    }

    /// A list of strings.
    pub(super) fn texts(&self, key: &'static str) -> Option<At<Vec<At<String>>>> {
        let value = self.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.mismatch(key, value, "a list of strings");
            return None;
        };
        let expected = "a list of strings";
        let texts: Option<Vec<_>> = array.iter().map(|item| self.text_of(key, item, expected)).collect();
        Some(At { value: texts?, span: value.span() })
    }

    /// A table below this one.
    pub(super) fn table(&self, key: &'static str) -> Option<Table<'s>> {
        let value = self.get(key)?;
        let path = self.path_of(key);
        match value.get_ref().as_table() {
            Some(table) => Some(self.below(path.clone(), format!("[{path}]"), table, value.span())),
            None => {
                self.mismatch(key, value, &format!("a table: [{path}]"));
                None
            }
        }
    }

    /// A string or a table, whichever stands there.
    pub(super) fn text_or_table(&self, key: &'static str) -> Option<Either<'s>> {
        match self.table.get(key)?.get_ref() {
            DeValue::Table(_) => self.table(key).map(Either::Table),
            _ => self.text(key).map(Either::Text),
        }
    }

    /// A list of tables below this one: `[[key]]`, or `key = [{ … }, … ]`.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'s>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let path = self.path_of(key);
        let name = format!("[[{path}]]");
        let Some(array) = value.get_ref().as_array() else {
            self.mismatch(key, value, &format!("a list of tables: {name}"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array {
            match item.get_ref().as_table() {
                Some(table) => tables.push(self.below(path.clone(), name.clone(), table, item.span())),
                None => self.mismatch(key, item, &format!("a list of tables: {name}")),
            }
        }
        tables
    }

    /// Every key of a table whose keys are names of a kind `K`, with the tables below.
    pub(super) fn named_tables<K: FromStr<Err: Display>>(&self) -> Vec<(At<K>, Table<'s>)> {
        let mut found = Vec::new();
        for (key, value) in self.table.iter() {
            let path = self.path_of(key.get_ref());
            let name = self.name_of::<K>(key);
            match value.get_ref().as_table() {
                Some(table) => {
                    let below = self.below(path.clone(), format!("[{path}]"), table, key.span());
                    found.extend(name.map(|name| (name, below)));
                }
                None => self.mismatch(key.get_ref(), value, &format!("a table: [{path}]")),
            }
        }
        found
    }

    /// Every key of a table whose keys are names of a kind `K`, with the strings they name.
    pub(super) fn named_texts<K: FromStr<Err: Display>>(&self) -> Vec<(At<K>, At<String>)> {
        let mut found = Vec::new();
        for (key, value) in self.table.iter() {
            let text = self.text_of(key.get_ref(), value, "a string in quotes");
            found.extend(self.name_of::<K>(key).zip(text));
        }
        found
    }

    fn name_of<K: FromStr<Err: Display>>(&self, key: &Spanned<std::borrow::Cow<'_, str>>) -> Option<At<K>> {
        match key.get_ref().parse() {
            Ok(value) => Some(At { value, span: key.span() }),
            Err(error) => {
                self.source.wrong(&key.span(), format!("in {}: {error}", self.name));
                None
            }
        }
    }

    /// `value`, and a note that the key is missing if there is none and nothing else was said about it.
    pub(super) fn require<T>(&self, key: &'static str, value: Option<T>, example: &str) -> Option<T> {
        if value.is_none() && !self.table.contains_key(key) {
            self.source.wrong(&self.span, format!("{} needs {key}, such as {key} = {example}", self.name));
        }
        value
    }

    /// Says why a key that people would expect here is not taken, if it is there.
    pub(super) fn refuse(&self, key: &'static str, why: &str) {
        if let Some(value) = self.table.get(key) {
            self.asked.borrow_mut().push(key);
            self.source.wrong(&value.span(), why);
        }
    }

    /// Says of every key that was not asked for that it is unknown. To be called last.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys().filter(|key| !asked.iter().any(|known| known == key.get_ref())) {
            let hint = match nearest(key.get_ref(), asked.iter().copied()) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => format!("; known here: {}", asked.join(", ")),
            };
            self.source.wrong(&key.span(), format!("unknown key {:?} in {}{hint}", key.get_ref(), self.name));
        }
    }
}

/// What may be written short or long.
pub(super) enum Either<'s> {
    /// The short form.
    Text(At<String>),
    /// The long form.
    Table(Table<'s>),
}
