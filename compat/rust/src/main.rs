//! Asks for tokens as programs for Microsoft's cloud do, with no option set. Prints what came of
//! each way:
//!
//!     compat WAY...
//!
//! A line is client, version, way, "token" or "refused" or "error", and the token or what the
//! library said, with tabs between them.

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_identity::{
    AzureCliCredential, AzureDeveloperCliCredential, ClientCertificateCredential, ClientSecretCredential,
    ManagedIdentityCredential, WorkloadIdentityCredential,
};
use std::env::var;
use std::error::Error;
use std::sync::Arc;

const WRONG_SECRET: &str = "not-the-secret-of-this-client";
const UNKNOWN_TENANT: &str = "5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77";

type Credential = azure_core::Result<Arc<dyn TokenCredential>>;

fn from_environment(name: &str) -> String {
    var(name).unwrap_or_default()
}

fn with_secret(tenant: &str, secret: String) -> Credential {
    let client = from_environment("AZURE_CLIENT_ID");
    Ok(ClientSecretCredential::new(tenant, client, secret.into(), None)?)
}

/// Reads a PKCS#12 file. With chain, the certificates go along, which only a variable can say.
fn with_certificate(variable: &str, chain: bool) -> Credential {
    let tenant = from_environment("AZURE_TENANT_ID");
    let client = from_environment("AZURE_CLIENT_ID");
    std::env::set_var("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", chain.to_string());
    let file = std::fs::read(from_environment(variable))?;
    Ok(ClientCertificateCredential::new(tenant, client, file.into(), None)?)
}

/// The credential of a way, or None where the library has no such way.
fn credential(way: &str) -> Option<Credential> {
    let tenant = from_environment("AZURE_TENANT_ID");
    let secret = from_environment("AZURE_CLIENT_SECRET");
    Some(match way {
        "secret" | "v1.0 token" => with_secret(&tenant, secret),
        "certificate" => with_certificate("COMPAT_CERT_PFX", false),
        "certificate chain" => with_certificate("COMPAT_CHAIN_PFX", true),
        "wrong secret" => with_secret(&tenant, WRONG_SECRET.into()),
        "unknown tenant" => with_secret(UNKNOWN_TENANT, secret),
        "managed identity" | "IMDS" => ManagedIdentityCredential::new(None).map(|c| c as _),
        "workload identity" => WorkloadIdentityCredential::new(None).map(|c| c as _),
        "az" => AzureCliCredential::new(None).map(|c| c as _),
        "azd" => AzureDeveloperCliCredential::new(None).map(|c| c as _),
        _ => return None,
    })
}

async fn ask(way: &str, made: Credential) -> azure_core::Result<String> {
    let api = match way {
        "v1.0 token" => from_environment("COMPAT_V1_RESOURCE"),
        _ => from_environment("COMPAT_V2_RESOURCE"),
    };
    let token = made?.get_token(&[&format!("{api}/.default")], None).await?;
    Ok(token.token.secret().to_string())
}

/// All that an error and the errors behind it say.
fn told(error: &azure_core::Error) -> String {
    let mut words = error.to_string();
    let mut behind = error.source();
    while let Some(cause) = behind {
        words = format!("{words} {cause}");
        behind = cause.source();
    }
    words
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for way in std::env::args().skip(1) {
        let Some(made) = credential(&way) else { continue };
        let (outcome, text) = match ask(&way, made).await {
            Ok(token) => ("token", token),
            Err(e) if matches!(e.kind(), ErrorKind::Credential) => ("refused", told(&e)),
            Err(e) => ("error", told(&e)),
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        println!("azure_identity (Rust)\t{}\t{way}\t{outcome}\t{text}", env!("AZURE_IDENTITY_VERSION"));
    }
}
