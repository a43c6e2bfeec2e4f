//! The machine-read list in `docs/ARCHITECTURE.md`.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};

const FENCE: &str = "```layers";

/// What the list permits. A crate is named by its place: `<floor>/<folder>`.
#[derive(Debug, Default)]
pub(crate) struct House {
    /// Lowest first.
    floors: Vec<String>,
    /// The permitted edges within a floor.
    pub(crate) edges: BTreeSet<(String, String)>,
    /// The replicated cores.
    pub(crate) no_std: BTreeSet<String>,
    /// The only packages of others that replicated cores may use.
    pub(crate) no_std_dependencies: BTreeSet<String>,
    /// The crates with their own lint table.
    pub(crate) may_be_unsafe: BTreeSet<String>,
}

impl House {
    /// Reads the one block of the document that is fenced as `layers`.
    pub(crate) fn parse(document: &str) -> anyhow::Result<Self> {
        let mut blocks = document.split(FENCE).skip(1);
        let block = blocks.next().context("there is no block fenced as ```layers")?;
        ensure!(blocks.next().is_none(), "there are several blocks fenced as ```layers");
        let (block, _) = block.split_once("\n```").context("the ```layers block has no end")?;
        let mut house = Self::default();
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
            house.read(line).with_context(|| format!("line `{line}` of the layers block"))?;
        }
        Ok(house)
    }

    /// How high a floor lies, from 0; `None` where it is not listed.
    pub(crate) fn height(&self, floor: &str) -> Option<usize> {
        self.floors.iter().position(|listed| listed == floor)
    }

    fn read(&mut self, line: &str) -> anyhow::Result<()> {
        let (word, rest) = line.split_once(' ').context("expected a word and its value")?;
        let value = rest.trim().to_owned();
        let is_new = match word {
            "edge" => {
                let (from, to) = value.split_once(" -> ").context("expected `from -> to`")?;
                let floor = |place: &str| place.split('/').next().map(str::to_owned);
                ensure!(floor(from) == floor(to), "only edges within one floor are listed");
                self.edges.insert((from.to_owned(), to.to_owned()))
            }
            "floor" => {
                let is_new = self.height(&value).is_none();
                self.floors.push(value);
                is_new
            }
            "no-std" => self.no_std.insert(value),
            "no-std-dependency" => self.no_std_dependencies.insert(value),
            "unsafe" => self.may_be_unsafe.insert(value),
            _ => bail!("expected edge, floor, no-std, no-std-dependency or unsafe"),
        };
        ensure!(is_new, "listed twice");
        Ok(())
    }
}
