//! Figures, and the Markdown tables of them.

use std::fmt::Write as _;

use guard::Scenario;

use crate::contender::{Contender, OURS};

/// A row a contender, a column a scenario.
#[derive(Clone, Debug)]
pub struct Figures(pub Vec<Vec<f64>>);

impl Figures {
    /// What is over the baseline's row; a baseline keeps what it costs.
    pub fn over_baseline(rows: Vec<Vec<f64>>, contenders: &[Contender]) -> Self {
        let over = |who: usize, what: usize| {
            let baseline = contenders[who].baseline;
            if baseline == who { rows[who][what] } else { rows[who][what] - rows[baseline][what] }
        };
        Self((0..rows.len()).map(|who| (0..rows[who].len()).map(|what| over(who, what)).collect()).collect())
    }

    /// A table of whole numbers.
    pub fn table(&self, unit: &str, contenders: &[Contender]) -> String {
        let mut text = heading(unit);
        for (who, row) in self.0.iter().enumerate() {
            line(&mut text, &row_name(who, contenders), row.iter().map(|figure| thousands(*figure)));
        }
        text
    }

    /// How many times as much as ours each one is.
    pub fn ratios(&self, contenders: &[Contender]) -> String {
        let mut text = heading("times ours, signed");
        for (who, row) in self.0.iter().enumerate() {
            if contenders[who].baseline != who && who != OURS {
                let ratios = row.iter().zip(&self.0[OURS]).map(|(figure, ours)| format!("{:.2}", figure / ours));
                line(&mut text, contenders[who].name(), ratios);
            }
        }
        text
    }
}

/// What a row is called: a baseline says that its figures are over nothing.
pub fn row_name(who: usize, contenders: &[Contender]) -> String {
    let name = contenders[who].name();
    if contenders[who].baseline == who { format!("*{name}, all of it*") } else { name.to_owned() }
}

/// A whole number, its thousands apart; a dash for none.
pub fn thousands(figure: f64) -> String {
    if figure.is_nan() {
        return "–".to_owned();
    }
    let digits = format!("{:.0}", figure.abs());
    let mut text = String::from(if figure <= -0.5 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn heading(corner: &str) -> String {
    let mut text = String::new();
    line(&mut text, corner, Scenario::ALL.iter().map(|scenario| scenario.name().to_owned()));
    line(&mut text, "---", Scenario::ALL.iter().map(|_| "---:".to_owned()));
    text
}

pub fn line(text: &mut String, first: &str, rest: impl Iterator<Item = String>) {
    let cells: Vec<String> = rest.collect();
    let _ = writeln!(text, "| {first} | {} |", cells.join(" | "));
}
