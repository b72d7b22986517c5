//! tmp
use stride_sensor::probe::*;
fn main() {
    let t = std::time::Instant::now();
    let mut p = Probe::load(&ProbeOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    println!("{:?}", t.elapsed());
    for h in &p.hooks {
        println!("{} {:?}", h.name, h.result);
    }
    let end = std::time::Instant::now() + std::time::Duration::from_secs(3);
    while std::time::Instant::now() < end {
        p.lineage.wait(std::time::Duration::from_millis(100));
        p.lineage.drain(1000, |b| {
            println!("{} {}", b.len(), String::from_utf8_lossy(&b[if b.len() > 648 { 648 } else { 16 }..]));
        });
    }
    let c = p.counters.take().unwrap();
    for k in sensor_ebpf::abi::EventKind::ALL {
        println!("{} {:?}", k.name(), c.read(k));
    }
}
