//! Techniques of the Microsoft Threat Matrix for Kubernetes.

/// A technique: id and name.
pub type Technique = (&'static str, &'static str);

/// The technique of this id, with or without `MS-TA`.
pub fn lookup(id: &str) -> Option<&'static Technique> {
    let digits = id.strip_prefix("MS-TA").unwrap_or(id);
    TECHNIQUES.iter().find(|(known, _)| known.strip_prefix("MS-TA") == Some(digits))
}

#[rustfmt::skip]
const TECHNIQUES: &[Technique] = &[
    ("MS-TA9001", "Using cloud credentials"),
    ("MS-TA9002", "Compromised image in registry"),
    ("MS-TA9003", "Kubeconfig file"),
    ("MS-TA9004", "Application vulnerability"),
    ("MS-TA9005", "Exposed sensitive interfaces"),
    ("MS-TA9006", "Exec into container"),
    ("MS-TA9007", "bash/cmd inside container"),
    ("MS-TA9008", "New container"),
    ("MS-TA9009", "Application exploit (RCE)"),
    ("MS-TA9010", "SSH server running inside container"),
    ("MS-TA9011", "Sidecar injection"),
    ("MS-TA9012", "Backdoor container"),
    ("MS-TA9013", "Writable hostPath mount"),
    ("MS-TA9014", "Kubernetes CronJob"),
    ("MS-TA9015", "Malicious admission controller"),
    ("MS-TA9016", "Container service account"),
    ("MS-TA9017", "Static pods"),
    ("MS-TA9018", "Privileged container"),
    ("MS-TA9019", "Cluster-admin binding"),
    ("MS-TA9020", "Access cloud resources"),
    ("MS-TA9021", "Clear container logs"),
    ("MS-TA9022", "Delete K8S events"),
    ("MS-TA9023", "Pod / container name similarity"),
    ("MS-TA9024", "Connect from proxy server"),
    ("MS-TA9025", "List K8S secrets"),
    ("MS-TA9026", "Mount service principal"),
    ("MS-TA9027", "Application credentials in configuration files"),
    ("MS-TA9028", "Access managed identity credentials"),
    ("MS-TA9029", "Access Kubernetes API server"),
    ("MS-TA9030", "Access Kubelet API"),
    ("MS-TA9031", "Network mapping"),
    ("MS-TA9033", "Instance metadata API"),
    ("MS-TA9034", "Cluster internal networking"),
    ("MS-TA9035", "CoreDNS poisoning"),
    ("MS-TA9036", "ARP poisoning and IP spoofing"),
    ("MS-TA9037", "Images from a private registry"),
    ("MS-TA9038", "Data destruction"),
    ("MS-TA9039", "Resource hijacking"),
    ("MS-TA9040", "Denial of service"),
    ("MS-TA9041", "Collecting data from pod"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_both_forms() {
        assert_eq!(lookup("9018"), lookup("MS-TA9018"));
        assert_eq!(lookup("9018").map(|technique| technique.1), Some("Privileged container"));
        assert_eq!(lookup("1"), None);
        assert_eq!(lookup(""), None);
    }
}
