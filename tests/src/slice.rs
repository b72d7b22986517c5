//! Cuts one scenario's records out of the log: by its container, and by descent from its processes.

use crate::execute::Footprint;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// The records that belong to a scenario, in order.
pub fn slice(records: &[Arc<Value>], footprint: &Footprint) -> Vec<Arc<Value>> {
    let mut lineage = Lineage { processes: footprint.roots.iter().map(|&pid| u64::from(pid)).collect() };
    let own = footprint.identity.as_ref().map(|identity| identity.container_id.as_str());
    let belongs = |record: &&Arc<Value>| {
        let descends = lineage.follow(record);
        match record["container"]["id"].as_str() {
            Some(id) if Some(id) == own => true,
            // Without a container of its own, a scenario may make some up.
            Some(_) => own.is_none() && descends,
            None => descends,
        }
    };
    records.iter().filter(belongs).cloned().collect()
}

/// The processes that descend from the runner's, learned from the records themselves.
struct Lineage {
    processes: HashSet<u64>,
}

impl Lineage {
    /// Whether the record is about a descendant; if so, its process counts as one from now on.
    fn follow(&mut self, record: &Value) -> bool {
        let process = &record["process"];
        let Some(pid) = process["pid"].as_u64() else { return false };
        let ancestors = process["ancestors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let descends = self.processes.contains(&pid)
            || ancestors
                .iter()
                .chain([&process["parent"]])
                .filter_map(|ancestor| ancestor["pid"].as_u64())
                .chain(process["ppid"].as_u64())
                .any(|pid| self.processes.contains(&pid));
        if descends {
            self.processes.insert(pid);
        }
        descends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::ImageName;
    use crate::spec::Identity;
    use serde_json::json;

    fn record(pid: u64, parent: u64, container: Option<&str>) -> Arc<Value> {
        Arc::new(json!({
            "kind": "exec",
            "process": {"pid": pid, "ancestors": [{"pid": parent}]},
            "container": container.map(|id| json!({"id": id})),
        }))
    }

    #[test]
    fn a_container_scenario_gets_its_container_and_its_runtime() {
        let mut identity = Identity::new("x", ImageName::Debian).unwrap();
        identity.container_id = "mine".into();
        let footprint = Footprint { identity: Some(identity), entrypoint: true, roots: vec![10] };
        let records = [
            record(10, 1, None),
            record(11, 10, Some("mine")),
            record(12, 11, Some("other")),
            record(99, 1, None),
            record(50, 40, Some("mine")),
        ];
        let pids: Vec<_> = slice(&records, &footprint)
            .iter()
            .map(|record| record["process"]["pid"].as_u64().unwrap())
            .collect();
        assert_eq!(pids, [10, 11, 50]);
    }

    #[test]
    fn a_host_scenario_gets_its_descendants_however_deep() {
        let footprint = Footprint { identity: None, entrypoint: false, roots: vec![10] };
        let records = [
            record(11, 10, None),
            record(12, 11, Some("made-up")),
            record(13, 12, None),
            record(20, 2, None),
        ];
        assert_eq!(slice(&records, &footprint).len(), 3);
    }
}
