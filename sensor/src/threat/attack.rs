//! MITRE ATT&CK techniques that detections name, with their tactics (Enterprise matrix, classic tactic names).

/// A technique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Technique {
    /// Id, for example `T1611`.
    pub id: &'static str,
    /// Name.
    pub name: &'static str,
    /// Short names of its tactics.
    pub tactics: &'static [&'static str],
}

/// The technique of this id.
pub fn lookup(id: &str) -> Option<&'static Technique> {
    TECHNIQUES.binary_search_by(|technique| technique.id.cmp(id)).ok().map(|index| &TECHNIQUES[index])
}

/// Other numbers of the same technique: ATT&CK v19 renumbered what used to be Impair Defenses, and tools use either.
pub fn also(id: &str) -> impl Iterator<Item = &'static str> {
    RENUMBERED.iter().filter_map(move |(old, new)| match (*old == id, *new == id) {
        (true, _) => Some(*new),
        (_, true) => Some(*old),
        _ => None,
    })
}

/// Old and new numbers.
const RENUMBERED: [(&str, &str); 8] = [
    ("T1070.002", "T1685.006"),
    ("T1562", "T1685"),
    ("T1562.001", "T1685"),
    ("T1562.003", "T1690"),
    ("T1562.004", "T1686"),
    ("T1562.006", "T1685"),
    ("T1562.010", "T1689"),
    ("T1562.012", "T1685.004"),
];

/// All known techniques, by id.
#[rustfmt::skip]
pub const TECHNIQUES: &[Technique] = &[
    Technique { id: "T1003", name: "OS Credential Dumping", tactics: &["credential-access"] },
    Technique { id: "T1003.007", name: "Proc Filesystem", tactics: &["credential-access"] },
    Technique { id: "T1003.008", name: "/etc/passwd and /etc/shadow", tactics: &["credential-access"] },
    Technique { id: "T1005", name: "Data from Local System", tactics: &["collection"] },
    Technique { id: "T1006", name: "Direct Volume Access", tactics: &["defense-evasion"] },
    Technique { id: "T1014", name: "Rootkit", tactics: &["defense-evasion"] },
    Technique { id: "T1018", name: "Remote System Discovery", tactics: &["discovery"] },
    Technique { id: "T1021.004", name: "SSH", tactics: &["lateral-movement"] },
    Technique { id: "T1027", name: "Obfuscated Files or Information", tactics: &["defense-evasion"] },
    Technique { id: "T1036", name: "Masquerading", tactics: &["defense-evasion"] },
    Technique { id: "T1036.003", name: "Rename System Utilities", tactics: &["defense-evasion"] },
    Technique { id: "T1036.004", name: "Masquerade Task or Service", tactics: &["defense-evasion"] },
    Technique { id: "T1036.005", name: "Match Legitimate Name or Location", tactics: &["defense-evasion"] },
    Technique { id: "T1036.006", name: "Space after Filename", tactics: &["defense-evasion"] },
    Technique { id: "T1037.004", name: "RC Scripts", tactics: &["persistence", "privilege-escalation"] },
    Technique { id: "T1040", name: "Network Sniffing", tactics: &["credential-access", "discovery"] },
    Technique { id: "T1041", name: "Exfiltration Over C2 Channel", tactics: &["exfiltration"] },
    Technique { id: "T1046", name: "Network Service Discovery", tactics: &["discovery"] },
    Technique { id: "T1048", name: "Exfiltration Over Alternative Protocol", tactics: &["exfiltration"] },
    Technique { id: "T1053.003", name: "Cron", tactics: &["execution", "persistence", "privilege-escalation"] },
    Technique { id: "T1053.006", name: "Systemd Timers", tactics: &["execution", "persistence", "privilege-escalation"] },
    Technique { id: "T1055", name: "Process Injection", tactics: &["defense-evasion", "privilege-escalation"] },
    Technique { id: "T1055.008", name: "Ptrace System Calls", tactics: &["defense-evasion", "privilege-escalation"] },
    Technique { id: "T1055.009", name: "Proc Memory", tactics: &["defense-evasion", "privilege-escalation"] },
    Technique { id: "T1057", name: "Process Discovery", tactics: &["discovery"] },
    Technique { id: "T1059", name: "Command and Scripting Interpreter", tactics: &["execution"] },
    Technique { id: "T1059.004", name: "Unix Shell", tactics: &["execution"] },
    Technique { id: "T1059.006", name: "Python", tactics: &["execution"] },
    Technique { id: "T1068", name: "Exploitation for Privilege Escalation", tactics: &["privilege-escalation"] },
    Technique { id: "T1070", name: "Indicator Removal", tactics: &["defense-evasion"] },
    Technique { id: "T1070.002", name: "Clear Linux or Mac System Logs", tactics: &["defense-evasion"] },
    Technique { id: "T1070.003", name: "Clear Command History", tactics: &["defense-evasion"] },
    Technique { id: "T1070.004", name: "File Deletion", tactics: &["defense-evasion"] },
    Technique { id: "T1070.006", name: "Timestomp", tactics: &["defense-evasion"] },
    Technique { id: "T1071", name: "Application Layer Protocol", tactics: &["command-and-control"] },
    Technique { id: "T1078.004", name: "Cloud Accounts", tactics: &["defense-evasion", "persistence", "privilege-escalation", "initial-access"] },
    Technique { id: "T1082", name: "System Information Discovery", tactics: &["discovery"] },
    Technique { id: "T1083", name: "File and Directory Discovery", tactics: &["discovery"] },
    Technique { id: "T1095", name: "Non-Application Layer Protocol", tactics: &["command-and-control"] },
    Technique { id: "T1098", name: "Account Manipulation", tactics: &["persistence", "privilege-escalation"] },
    Technique { id: "T1098.004", name: "SSH Authorized Keys", tactics: &["persistence", "privilege-escalation"] },
    Technique { id: "T1105", name: "Ingress Tool Transfer", tactics: &["command-and-control"] },
    Technique { id: "T1106", name: "Native API", tactics: &["execution"] },
    Technique { id: "T1133", name: "External Remote Services", tactics: &["persistence", "initial-access"] },
    Technique { id: "T1136.001", name: "Local Account", tactics: &["persistence"] },
    Technique { id: "T1140", name: "Deobfuscate/Decode Files or Information", tactics: &["defense-evasion"] },
    Technique { id: "T1190", name: "Exploit Public-Facing Application", tactics: &["initial-access"] },
    Technique { id: "T1195.002", name: "Compromise Software Supply Chain", tactics: &["initial-access"] },
    Technique { id: "T1202", name: "Indirect Command Execution", tactics: &["defense-evasion"] },
    Technique { id: "T1204.003", name: "Malicious Image", tactics: &["execution"] },
    Technique { id: "T1205", name: "Traffic Signaling", tactics: &["defense-evasion", "persistence", "command-and-control"] },
    Technique { id: "T1222.002", name: "Linux and Mac File and Directory Permissions Modification", tactics: &["defense-evasion"] },
    Technique { id: "T1485", name: "Data Destruction", tactics: &["impact"] },
    Technique { id: "T1486", name: "Data Encrypted for Impact", tactics: &["impact"] },
    Technique { id: "T1489", name: "Service Stop", tactics: &["impact"] },
    Technique { id: "T1496", name: "Resource Hijacking", tactics: &["impact"] },
    Technique { id: "T1496.001", name: "Compute Hijacking", tactics: &["impact"] },
    Technique { id: "T1499", name: "Endpoint Denial of Service", tactics: &["impact"] },
    Technique { id: "T1505.003", name: "Web Shell", tactics: &["persistence"] },
    Technique { id: "T1525", name: "Implant Internal Image", tactics: &["persistence"] },
    Technique { id: "T1528", name: "Steal Application Access Token", tactics: &["credential-access"] },
    Technique { id: "T1529", name: "System Shutdown/Reboot", tactics: &["impact"] },
    Technique { id: "T1542", name: "Pre-OS Boot", tactics: &["persistence", "defense-evasion"] },
    Technique { id: "T1543", name: "Create or Modify System Process", tactics: &["persistence", "privilege-escalation"] },
    Technique { id: "T1543.002", name: "Systemd Service", tactics: &["persistence", "privilege-escalation"] },
    Technique { id: "T1543.005", name: "Container Service", tactics: &["persistence", "privilege-escalation"] },
    Technique { id: "T1546", name: "Event Triggered Execution", tactics: &["privilege-escalation", "persistence"] },
    Technique { id: "T1546.004", name: "Unix Shell Configuration Modification", tactics: &["privilege-escalation", "persistence"] },
    Technique { id: "T1547.006", name: "Kernel Modules and Extensions", tactics: &["persistence", "privilege-escalation"] },
    Technique { id: "T1548", name: "Abuse Elevation Control Mechanism", tactics: &["privilege-escalation", "defense-evasion"] },
    Technique { id: "T1548.001", name: "Setuid and Setgid", tactics: &["privilege-escalation", "defense-evasion"] },
    Technique { id: "T1548.003", name: "Sudo and Sudo Caching", tactics: &["privilege-escalation", "defense-evasion"] },
    Technique { id: "T1552", name: "Unsecured Credentials", tactics: &["credential-access"] },
    Technique { id: "T1552.001", name: "Credentials In Files", tactics: &["credential-access"] },
    Technique { id: "T1552.004", name: "Private Keys", tactics: &["credential-access"] },
    Technique { id: "T1552.005", name: "Cloud Instance Metadata API", tactics: &["credential-access"] },
    Technique { id: "T1552.007", name: "Container API", tactics: &["credential-access"] },
    Technique { id: "T1553.004", name: "Install Root Certificate", tactics: &["defense-evasion"] },
    Technique { id: "T1554", name: "Compromise Host Software Binary", tactics: &["persistence"] },
    Technique { id: "T1556.003", name: "Pluggable Authentication Modules", tactics: &["credential-access", "defense-evasion", "persistence"] },
    Technique { id: "T1557", name: "Adversary-in-the-Middle", tactics: &["credential-access", "collection"] },
    Technique { id: "T1562", name: "Impair Defenses", tactics: &["defense-evasion"] },
    Technique { id: "T1562.001", name: "Disable or Modify Tools", tactics: &["defense-evasion"] },
    Technique { id: "T1562.003", name: "Impair Command History Logging", tactics: &["defense-evasion"] },
    Technique { id: "T1562.004", name: "Disable or Modify System Firewall", tactics: &["defense-evasion"] },
    Technique { id: "T1562.006", name: "Indicator Blocking", tactics: &["defense-evasion"] },
    Technique { id: "T1562.010", name: "Downgrade Attack", tactics: &["defense-evasion"] },
    Technique { id: "T1562.012", name: "Disable or Modify Linux Audit System", tactics: &["defense-evasion"] },
    Technique { id: "T1564", name: "Hide Artifacts", tactics: &["defense-evasion"] },
    Technique { id: "T1564.001", name: "Hidden Files and Directories", tactics: &["defense-evasion"] },
    Technique { id: "T1565.001", name: "Stored Data Manipulation", tactics: &["impact"] },
    Technique { id: "T1571", name: "Non-Standard Port", tactics: &["command-and-control"] },
    Technique { id: "T1572", name: "Protocol Tunneling", tactics: &["command-and-control"] },
    Technique { id: "T1574", name: "Hijack Execution Flow", tactics: &["persistence", "privilege-escalation", "defense-evasion"] },
    Technique { id: "T1574.006", name: "Dynamic Linker Hijacking", tactics: &["persistence", "privilege-escalation", "defense-evasion"] },
    Technique { id: "T1574.007", name: "Path Interception by PATH Environment Variable", tactics: &["persistence", "privilege-escalation", "defense-evasion"] },
    Technique { id: "T1601.001", name: "Patch System Image", tactics: &["defense-evasion"] },
    Technique { id: "T1609", name: "Container Administration Command", tactics: &["execution"] },
    Technique { id: "T1610", name: "Deploy Container", tactics: &["execution", "defense-evasion"] },
    Technique { id: "T1611", name: "Escape to Host", tactics: &["privilege-escalation"] },
    Technique { id: "T1613", name: "Container and Resource Discovery", tactics: &["discovery"] },
    Technique { id: "T1620", name: "Reflective Code Loading", tactics: &["defense-evasion"] },
    Technique { id: "T1622", name: "Debugger Evasion", tactics: &["defense-evasion", "discovery"] },
    Technique { id: "T1685", name: "Disable or Modify Tools", tactics: &["defense-evasion"] },
    Technique { id: "T1685.004", name: "Disable or Modify Linux Audit System Log", tactics: &["defense-evasion"] },
    Technique { id: "T1685.006", name: "Clear Linux or Mac System Logs", tactics: &["defense-evasion"] },
    Technique { id: "T1686", name: "Disable or Modify System Firewall", tactics: &["defense-evasion"] },
    Technique { id: "T1689", name: "Downgrade Attack", tactics: &["defense-evasion"] },
    Technique { id: "T1690", name: "Prevent Command History Logging", tactics: &["defense-evasion"] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_entries_are_found() {
        assert!(TECHNIQUES.is_sorted_by(|one, next| one.id < next.id));
        assert_eq!(lookup("T1611").map(|technique| technique.name), Some("Escape to Host"));
        assert_eq!(lookup("T9999"), None);
        assert!(TECHNIQUES.iter().all(|technique| !technique.tactics.is_empty()));
    }

    #[test]
    fn both_numbers_lead_to_each_other() {
        assert_eq!(also("T1562.004").collect::<Vec<_>>(), ["T1686"]);
        assert_eq!(also("T1685").collect::<Vec<_>>(), ["T1562", "T1562.001", "T1562.006"]);
        assert!(RENUMBERED.iter().all(|(old, new)| lookup(old).is_some() && lookup(new).is_some()));
    }
}
