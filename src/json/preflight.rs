//! The preflight report: written and never read back.

use serde::{Serialize, Serializer};

use crate::preflight::{Capability, Cause, Feature, KernelRelease, Library, Preflight, State};

impl Serialize for KernelRelease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            feature: Feature,
            state: State,
            decided_by: &'a Cause,
            #[serde(skip_serializing_if = "Option::is_none")]
            consequence: Option<&'static str>,
            sentence: String,
        }
        let Self { feature, state, decided_by } = self;
        let (consequence, sentence) = (self.consequence(), self.to_string());
        Fields { feature: *feature, state: *state, decided_by, consequence, sentence }.serialize(serializer)
    }
}

impl Serialize for Preflight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            kernel: Option<KernelRelease>,
            library: Option<&'a Library>,
            capabilities: Vec<&'a Capability>,
        }
        let capabilities = self.iter().collect();
        Fields { kernel: self.kernel(), library: self.library(), capabilities }.serialize(serializer)
    }
}
