//! Results: as a table, as JSON, and compared with what is expected.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::{Deserialize, Serialize};

/// The share by which a figure of [`Kind::NearlyFixed`] may differ: hash maps and the compiler's version change it a little.
const TOLERANCE: f64 = 0.03;

/// What a figure depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The scenario sets it.
    Parameter,
    /// The same in every run.
    Count,
    /// Nearly the same in every run.
    NearlyFixed,
    /// A time. It is shown, and compared with nothing.
    Time,
}

/// The results of a scenario.
#[derive(Clone, Debug)]
pub struct Row {
    name: &'static str,
    figures: Vec<(&'static str, f64, Kind)>,
}

/// The figures of each scenario, as they are kept in a file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kept(BTreeMap<String, BTreeMap<String, f64>>);

impl Row {
    /// An empty row.
    pub fn new(name: &'static str) -> Self {
        Self { name, figures: Vec::new() }
    }

    /// Adds a figure.
    pub fn with(mut self, name: &'static str, value: f64, kind: Kind) -> Self {
        self.figures.push((name, value, kind));
        self
    }

    /// Adds a parameter.
    pub fn parameter(self, name: &'static str, value: f64) -> Self {
        self.with(name, value, Kind::Parameter)
    }

    /// Adds a count.
    pub fn count(self, name: &'static str, value: usize) -> Self {
        self.with(name, value as f64, Kind::Count)
    }

    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.figures.iter().map(|(name, ..)| *name)
    }

    /// The scenario and its parameters.
    fn key(&self) -> String {
        let parameters = self.figures.iter().filter(|(_, _, kind)| *kind == Kind::Parameter);
        parameters.fold(self.name.to_owned(), |mut key, (name, value, _)| {
            let _ = write!(key, ", {} {name}", shown(*value));
            key
        })
    }
}

impl Kept {
    /// All figures of these rows.
    pub fn all(rows: &[Row]) -> Self {
        Self::those(rows, |_| true)
    }

    /// The figures that a check compares.
    pub fn compared(rows: &[Row]) -> Self {
        Self::those(rows, |kind| matches!(kind, Kind::Count | Kind::NearlyFixed))
    }

    fn those(rows: &[Row], is_kept: impl Fn(Kind) -> bool) -> Self {
        let figures = |row: &Row| {
            let kept = row.figures.iter().filter(|(_, _, kind)| is_kept(*kind));
            kept.map(|(name, value, _)| ((*name).to_owned(), *value)).collect()
        };
        Self(rows.iter().map(|row| (row.key(), figures(row))).collect())
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Writes a file.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// These figures, and those here of scenarios that were not played and that `is_kept` accepts.
    pub fn updated_by(mut self, newer: Self, is_kept: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|key, _| is_kept(key));
        self.0.extend(newer.0);
        self
    }

    /// How `rows` differ from what is expected here, in words. Scenarios that `may_be_missing` need not have been played.
    pub fn differences(&self, rows: &[Row], may_be_missing: impl Fn(&str) -> bool) -> Vec<String> {
        let now: BTreeMap<String, &Row> = rows.iter().map(|row| (row.key(), row)).collect();
        let missing = self.0.keys().filter(|key| !may_be_missing(key) && !now.contains_key(*key));
        let mut found: Vec<String> = missing.map(|key| format!("{key}: was not played")).collect();
        for (key, row) in &now {
            let expected = self.0.get(key);
            for (name, value, kind) in &row.figures {
                let allowed = match kind {
                    Kind::Parameter | Kind::Time => continue,
                    Kind::Count => 0.0,
                    Kind::NearlyFixed => TOLERANCE,
                };
                match expected.and_then(|figures| figures.get(*name)) {
                    None => {
                        found.push(format!("{key}: {name} is {}, and nothing is expected", shown(*value)))
                    }
                    Some(expected) if (value - expected).abs() > expected * allowed => {
                        let way = if value > expected { "more" } else { "fewer" };
                        found.push(format!(
                            "{key}: {name} should be {} and is {} ({} {way})",
                            shown(*expected),
                            shown(*value),
                            shown((value - expected).abs())
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
        found
    }

    fn get(&self, row: &Row, figure: &str) -> Option<f64> {
        self.0.get(&row.key())?.get(figure).copied()
    }
}

/// A table for each kind of scenario. Of a figure that was another one `before`, both are shown.
pub fn tables(rows: &[Row], before: Option<&Kept>) -> String {
    let alike = rows.chunk_by(|one, other| one.columns().eq(other.columns()));
    let table = |rows: &[Row]| {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(std::iter::once("").chain(rows[0].columns()));
        for row in rows {
            let cell = |(name, value, _): &(&'static str, f64, Kind)| match before
                .and_then(|before| before.get(row, name))
            {
                Some(old) if shown(old) != shown(*value) => format!("{} → {}", shown(old), shown(*value)),
                _ => shown(*value),
            };
            table.add_row(std::iter::once(row.name.to_owned()).chain(row.figures.iter().map(cell)));
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table.to_string()
    };
    alike.map(table).collect::<Vec<_>>().join("\n\n")
}

/// With one digit after the point, if there is anything behind it that matters.
fn shown(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
