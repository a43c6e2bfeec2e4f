//! `synod explain CODE`.

use anyhow::Result;
use clap::Args;

use super::Session;
use crate::outcome::{Exit, Failure};

/// Explain an error code.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The code, such as SYN-0003 or 3; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        /// Every code with its help page.
        const PAGES: &[(&str, &str)] = &[
            $(($code, include_str!(concat!("../../../../../docs/errors/", $code, ".md")))),*
        ];
    };
}

pages![
    "SYN-0001", "SYN-0002", "SYN-0003", "SYN-0004", "SYN-0005", "SYN-0006", "SYN-0007", "SYN-0008",
    "SYN-0009", "SYN-0010", "SYN-0011", "SYN-0012",
];

pub(crate) fn run(session: &Session, args: &ExplainArgs) -> Result<Exit> {
    let Some(code) = &args.code else {
        for (_, page) in PAGES {
            session.terminal.data(title(page))?;
        }
        return Ok(Exit::Done);
    };
    match find(code) {
        Some(page) => {
            session.terminal.data(page)?;
            Ok(Exit::Done)
        }
        None => {
            let message = format!("there is no error code {code}; `synod explain` lists all");
            Err(Failure::new(Exit::NotFound, message).into())
        }
    }
}

fn title(page: &str) -> &str {
    page.lines().next().unwrap_or_default().trim_start_matches("# ")
}

fn find(code: &str) -> Option<&'static str> {
    let digits = code.trim_start_matches(|c: char| !c.is_ascii_digit());
    let number: u32 = digits.parse().ok()?;
    let code = format!("SYN-{number:04}");
    PAGES.iter().find(|(known, _)| *known == code).map(|(_, page)| *page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_opens_with_its_code_and_names_a_remedy() {
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}: ")), "{code}");
            assert!(page.contains("\nRemedy: "), "{code}");
        }
    }

    #[test]
    fn codes_are_found_in_any_spelling() {
        for spelling in ["SYN-0003", "syn-3", "3", "0003"] {
            assert!(find(spelling).is_some_and(|page| page.starts_with("# SYN-0003")));
        }
        assert!(find("SYN-9999").is_none());
        assert!(find("x").is_none());
    }
}
