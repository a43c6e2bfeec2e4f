//! What a load measured, and the table of it.

use std::fmt::Write;

use anyhow::Context;

/// Of one turn, or the medians of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    /// CPU time per request, of all threads, user and system.
    cpu_us: f64,
    /// Of it outside the kernel.
    user_us: f64,
    p50_ms: f64,
    p99_ms: f64,
    requests_per_s: f64,
    rss_mib: f64,
}

impl Figures {
    /// Reads the line of JSON that the load writes.
    pub(super) fn parse(line: &str) -> anyhow::Result<Self> {
        let values: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("no figures: {line}"))?;
        let value = |name: &str| {
            values[name].as_f64().with_context(|| format!("no figure `{name}`: {line}"))
        };
        Ok(Self {
            cpu_us: value("cpu_us")?,
            user_us: value("user_us")?,
            p50_ms: value("p50_ms")?,
            p99_ms: value("p99_ms")?,
            requests_per_s: value("requests_per_s")?,
            rss_mib: value("rss_mib")?,
        })
    }

    /// The median of each figure by itself.
    fn median(turns: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(turns.iter().map(figure).collect());
        Self {
            cpu_us: of(|turn| turn.cpu_us),
            user_us: of(|turn| turn.user_us),
            p50_ms: of(|turn| turn.p50_ms),
            p99_ms: of(|turn| turn.p99_ms),
            requests_per_s: of(|turn| turn.requests_per_s),
            rss_mib: of(|turn| turn.rss_mib),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// The median over the rounds of how the CPU time of one proxy stands to that of another. What
/// else the machine does weighs on all turns of a round alike.
fn ratio(turns: &[Figures], others: &[Figures]) -> f64 {
    let pairs = turns.iter().zip(others);
    median(pairs.map(|(turn, other)| turn.cpu_us / other.cpu_us).collect())
}

/// The medians of each proxy's turns, with the ratio of its CPU time to that of `nginx`, if it is
/// there, and of ours to that of the build beside it.
pub(super) fn table(rows: &[(&str, &[Figures])]) -> String {
    let turns_of = |wanted| rows.iter().find(|(name, _)| *name == wanted).map(|(_, turns)| *turns);
    let nginx = turns_of("nginx");
    let mut out = format!(
        "{:<8}{:>12}{:>10}{:>10}{:>10}{:>10}{:>12}{:>10}",
        "", "CPU µs/req", "of user", "× nginx", "p50 ms", "p99 ms", "requests/s", "RSS MiB"
    );
    for (name, turns) in rows {
        let row = Figures::median(turns);
        let ratio = nginx.map_or("-".to_owned(), |nginx| format!("{:.2}", ratio(turns, nginx)));
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "\n{name:<8}{:>12.1}{:>10.1}{ratio:>10}{:>10.2}{:>10.2}{:>12.0}{:>10.1}",
            row.cpu_us, row.user_us, row.p50_ms, row.p99_ms, row.requests_per_s, row.rss_mib
        );
    }
    if let (Some(ours), Some(beside)) = (turns_of("synod"), turns_of("beside")) {
        let _ = write!(out, "\nsynod costs {:.2} of the build beside it", ratio(ours, beside));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(cpu_us: f64) -> Figures {
        let line = format!(
            r#"{{"requests": 9, "requests_per_s": 20000, "cpu_us": {cpu_us}, "user_us": 3.5,
                "p50_ms": 0.5, "p99_ms": 2, "rss_mib": 7.25}}"#
        );
        Figures::parse(&line).unwrap()
    }

    #[test]
    fn one_odd_turn_does_not_move_the_median() {
        let turns = [figures(9.0), figures(70.0), figures(10.0)];
        assert_eq!(Figures::median(&turns), figures(10.0));
        assert_eq!(Figures::median(&turns[..2]), figures(39.5));
    }

    #[test]
    fn ratios_are_to_nginx() {
        let synod = [figures(15.0), figures(30.0), figures(3.0)];
        let nginx = [figures(10.0), figures(20.0), figures(10.0)];
        let rows = [("synod", synod.as_slice()), ("nginx", nginx.as_slice())];
        let with_nginx = table(&rows);
        assert!(with_nginx.lines().nth(1).unwrap().contains(" 1.50 "), "{with_nginx}");
        assert!(!table(&rows[..1]).contains("1.50"));
        let beside = table(&[rows[0], ("beside", &nginx)]);
        assert!(beside.ends_with("synod costs 1.50 of the build beside it"), "{beside}");
    }

    #[test]
    fn missing_figures_are_named() {
        let error = Figures::parse(r#"{"cpu_us": 1}"#).unwrap_err();
        assert!(error.to_string().contains("`user_us`"), "{error}");
    }
}
