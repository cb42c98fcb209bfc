//! The chart that the README shows: what a read and a write cost, as bars.

use std::fmt::Write as _;

use guard::Scenario;

use crate::{contender::Contender, table::Figures};

/// An SVG that takes its colours from the reader's theme.
pub fn svg(nanoseconds: &Figures, contenders: &[Contender]) -> String {
    let shown: Vec<usize> = (0..contenders.len()).filter(|who| SHOWN.contains(&contenders[*who].name())).collect();
    let figure = |who: usize, scenario: Scenario| {
        Scenario::ALL.iter().position(|known| *known == scenario).map_or(0.0, |what| nanoseconds.0[who][what])
    };
    let most = shown.iter().map(|who| figure(*who, Scenario::Write)).fold(1.0, f64::max);
    let mut shown = shown;
    shown.sort_by(|a, b| figure(*a, Scenario::Write).total_cmp(&figure(*b, Scenario::Write)));

    let height = TOP + shown.len() * ROW + 8;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"What reading and writing one key adds to a request\">\n\
         <style>text {{ font: 13px system-ui, sans-serif; fill: #1f2328 }} .quiet {{ fill: #59636e }} \
         .ours {{ font-weight: 600 }} .read {{ fill: #54aeff }} .write {{ fill: #0969da }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #f0f6fc }} .quiet {{ fill: #9198a1 }} \
         .read {{ fill: #388bfd }} .write {{ fill: #a5d6ff }} }}</style>\n\
         <text x=\"8\" y=\"20\" class=\"ours\">Nanoseconds that a session adds to a request</text>\n\
         <rect x=\"{LEFT}\" y=\"32\" width=\"10\" height=\"10\" class=\"read\"/>\
         <text x=\"{}\" y=\"42\" class=\"quiet\">read one key</text>\n\
         <rect x=\"{}\" y=\"32\" width=\"10\" height=\"10\" class=\"write\"/>\
         <text x=\"{}\" y=\"42\" class=\"quiet\">write one key</text>\n",
        LEFT + 16,
        LEFT + 120,
        LEFT + 136,
    );
    for (row, who) in shown.into_iter().enumerate() {
        let top = TOP + row * ROW;
        let name = contenders[who].name();
        let class = if name.starts_with("session-axum") { " class=\"ours\"" } else { "" };
        let _ = writeln!(text, "<text x=\"8\" y=\"{}\"{class}>{}</text>", top + 18, name.replace('`', ""));
        for (offset, class, scenario) in [(4, "read", Scenario::Read), (15, "write", Scenario::Write)] {
            let nanoseconds = figure(who, scenario);
            let width = (nanoseconds / most * LONGEST).max(1.0);
            let _ = writeln!(
                text,
                "<rect x=\"{LEFT}\" y=\"{}\" width=\"{width:.0}\" height=\"9\" class=\"{class}\"/>\
                 <text x=\"{:.0}\" y=\"{}\" class=\"quiet\" style=\"font-size:10px\">{nanoseconds:.0}</text>",
                top + offset,
                LEFT as f64 + width + 5.0,
                top + offset + 8,
            );
        }
    }
    text + "</svg>\n"
}

/// Those that fit on one scale.
const SHOWN: [&str; 9] = [
    "session-axum, signed",
    "minimum by hand, as a tower layer",
    "tower-cookies, signed",
    "axum-extra `SignedCookieJar`",
    "JWT HS256 in a cookie",
    "tower-sessions-cookie-store, signed",
    "tower-sessions, memory",
    "tower-sessions, memory, signed id",
    "actix-session, signed cookie (over actix-web)",
];

const WIDTH: usize = 760;
const TOP: usize = 54;
const ROW: usize = 32;
const LEFT: usize = 320;
const LONGEST: f64 = 390.0;
