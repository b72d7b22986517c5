//! What the tests of all sinks share, and the sinks together.

use super::*;
use crate::sink::forensic::tests::config as forensic_config;

pub(super) fn summary() -> FindingSummary {
    FindingSummary {
        time: "2026-11-24T08:32:15.123456789Z".to_owned(),
        id: "drift-exec".to_owned(),
        title: "Program that is not in the image".to_owned(),
        severity: "high",
        stride: vec!["tampering", "elevation_of_privilege"],
        message: "/dev/shm/x (pid 4711) runs from a file that is not in the image".to_owned(),
        pid: 4711,
        exe: "/dev/shm/x".to_owned(),
        container: Some("web".to_owned()),
        pod: Some(("shop".to_owned(), "web-7d4b9".to_owned())),
        attribution: "exact",
    }
}

pub(super) fn finding(json: &str) -> Output {
    Output { json: Bytes::copy_from_slice(json.as_bytes()), finding: Some(Arc::new(summary())) }
}

pub(super) fn telemetry(json: &str) -> Output {
    Output { json: Bytes::copy_from_slice(json.as_bytes()), finding: None }
}

#[tokio::test]
async fn everything_sent_before_the_outlet_goes_is_in_the_log_after_the_drain() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, health) = (Arc::new(Metrics::new(BuildInfo::default())), Arc::new(Health::default()));
    let config = SinkConfig {
        forensic: Some(forensic_config(folder.path())),
        http: Some(([127, 0, 0, 1], 0).into()),
        queues: QueueConfig { findings: 4096, telemetry: 4096 },
        ..SinkConfig::default()
    };
    let (mut sinks, mut outlet) = Sinks::new(config, metrics.clone(), health.clone()).unwrap();
    assert!(outlet.wants_telemetry() && outlet.wants_findings());
    assert!(sinks.http_address().is_some_and(|address| address.port() != 0));
    sinks.spawn();
    for number in 0..2000 {
        outlet.send(telemetry(&format!(r#"{{"telemetry":{number}}}"#)));
        outlet.send(finding(&format!(r#"{{"finding":{number}}}"#)));
    }
    drop(outlet);
    sinks.drain(Duration::from_secs(10)).await;
    let mut lines = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        lines += std::fs::read_to_string(file.unwrap().path()).unwrap().lines().count();
    }
    assert_eq!(lines, 4000);
    assert!(health.not_ready().iter().all(|reason| !reason.contains("log")));
}

#[test]
fn an_address_in_use_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = SinkConfig { http: taken.local_addr().ok(), ..SinkConfig::default() };
    let result =
        Sinks::new(config, Arc::new(Metrics::new(BuildInfo::default())), Arc::new(Health::default()));
    let message = result.err().unwrap().to_string();
    assert!(message.contains("127.0.0.1:") && message.contains("--metrics"), "{message}");
}
