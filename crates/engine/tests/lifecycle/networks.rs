//! Containers on networks: addresses, published ports, names, connecting and leaving, and an engine that comes back.
//! Everything happens in the network namespace that this process made for itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use api::network::{CreateRequest as NetworkRequest, EndpointSettings, IpamConfig};
use api::port::PortBinding;

use super::*;

/// Answers with its host name on port 80.
const SERVER: &[&str] = &["sh", "-c", "hostname > /tmp/index.html; exec httpd -f -p 80 -h /tmp"];

/// What a web server at this address says, as soon as it says something.
fn fetch(address: &str) -> Option<String> {
    let address: SocketAddr = address.parse().expect("an address");
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
            stream.set_read_timeout(Some(Duration::from_secs(3))).expect("a limit");
            let mut text = String::new();
            let asked = stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n");
            if asked.is_ok() && stream.read_to_string(&mut text).is_ok() && text.contains("200 OK") {
                return text.lines().last().map(str::to_owned);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

/// Links of this namespace but for the loopback.
fn links() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").expect("links");
    let names = text.lines().skip(2).filter_map(|line| line.split(':').next());
    let mut names: Vec<_> = names.map(|name| name.trim().to_owned()).filter(|name| name != "lo").collect();
    names.sort();
    names
}

/// Waits until only these links are there.
async fn only(expect: &[&str]) {
    eventually(&format!("no links but {expect:?}"), || links() == expect).await;
}

fn bind(request: &mut api::container::CreateRequest, port: &str, ip: &str, host: &str) {
    let binding = PortBinding { host_ip: ip.into(), host_port: host.into() };
    let host_config = request.host_config.as_mut().expect("set");
    host_config.port_bindings.get_or_insert_default().insert(port.into(), Some(vec![binding]));
}

impl Bench {
    async fn run_on(
        &self,
        network: &str,
        name: &str,
        command: &[&str],
        change: impl FnOnce(&mut api::container::CreateRequest),
    ) -> String {
        let id = self
            .create_named(Some(name), command, |request| {
                request.host_config.as_mut().expect("set").network_mode = network.into();
                change(request);
            })
            .await
            .expect("create");
        self.engine.container_start(&id).await.expect("start");
        id
    }

    async fn network(&self, id: &str) -> api::network::NetworkSettings {
        let inspect = self.engine.container_inspect(id, false).await.expect("inspect");
        inspect.network_settings.expect("network settings")
    }

    async fn endpoint(&self, id: &str, network: &str) -> EndpointSettings {
        self.network(id).await.networks.expect("networks").remove(network).expect("the network")
    }

    async fn make_network(&self, name: &str, subnet: &str) -> String {
        let mut request = NetworkRequest { name: name.into(), ..Default::default() };
        if !subnet.is_empty() {
            let config = IpamConfig { subnet: subnet.into(), ..Default::default() };
            let ipam = api::network::Ipam { config: Some(vec![config]), ..Default::default() };
            request.ipam = Some(ipam);
        }
        self.engine.network_create(request).await.expect("create network").id
    }
}

pub async fn published_ports(bench: Bench) -> Bench {
    let web = bench.run_on("bridge", "web", SERVER, |request| bind(request, "80/tcp", "", "8088")).await;
    let settings = bench.network(&web).await;
    assert_eq!(settings.ip_prefix_len, 16);
    assert!(!settings.gateway.is_empty() && !settings.endpoint_id.is_empty());
    let bindings = settings.ports.expect("ports").remove("80/tcp").flatten().expect("published");
    assert_eq!((bindings[0].host_ip.as_str(), bindings[0].host_port.as_str()), ("0.0.0.0", "8088"));
    let host = fetch(&format!("{}:80", settings.ip_address)).expect("reached directly");
    assert_eq!(web[..12], host);
    for address in ["127.0.0.1:8088".to_owned(), format!("{}:8088", settings.gateway)] {
        assert_eq!(fetch(&address).as_ref(), Some(&host), "{address}");
    }
    let listed = bench.engine.container_list(ListOptions::default()).await.expect("list").remove(0);
    assert_eq!((listed.ports[0].private_port, listed.ports[0].public_port), (80, 8088));

    // The same port again, by us and by somebody else; the failed ones leave nothing.
    let before = links();
    let taken = TcpListener::bind("127.0.0.1:8099").expect("bind");
    for port in ["8088", "8099"] {
        let id = bench
            .create(SERVER, |request| {
                request.host_config.as_mut().expect("set").network_mode = "bridge".into();
                bind(request, "80/tcp", "", port);
            })
            .await;
        let error = bench.engine.container_start(&id).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("failed to set up container networking: driver failed programming"),
            "{text}"
        );
        assert!(text.contains("address already in use") || text.contains("already allocated"), "{text}");
        assert_eq!(error.kind(), Kind::Internal);
        assert_eq!(bench.state(&id).await.status, "created");
    }
    drop(taken);
    only(&before.iter().map(String::as_str).collect::<Vec<_>>()).await;

    bench.engine.container_stop(&web, StopOptions { timeout: Some(0), signal: None }).await.expect("stop");
    let settings = bench.network(&web).await;
    assert_eq!((settings.ip_address.as_str(), settings.ports.expect("ports").len()), ("", 0));
    // At once free for others, and for itself.
    TcpListener::bind("0.0.0.0:8088").expect("free");
    bench.engine.container_start(&web).await.expect("start again");
    assert_eq!(fetch("127.0.0.1:8088"), Some(host));
    bench
}

pub async fn names_and_networks(bench: Bench) -> Bench {
    bench.make_network("mine", "10.77.0.0/24").await;
    let web = bench
        .run_on("mine", "web", SERVER, |request| {
            let settings = EndpointSettings {
                aliases: Some(vec!["www".into()]),
                ipam_config: Some(api::network::EndpointIpamConfig {
                    ipv4_address: "10.77.0.9".into(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let endpoints = [("mine".to_owned(), Some(settings))].into();
            request.networking_config =
                Some(api::network::NetworkingConfig { endpoints_config: Some(endpoints) });
        })
        .await;
    let endpoint = bench.endpoint(&web, "mine").await;
    assert_eq!((endpoint.ip_address.as_str(), endpoint.ip_prefix_len), ("10.77.0.9", 24));
    assert_eq!(endpoint.dns_names.expect("names")[..2], ["web", "www"]);
    let client = bench.run_on("mine", "client", &["sleep", "100000"], |_| {}).await;
    for name in ["web", "www", &web[..12], "web.mine"] {
        let (text, code) = bench.exec(&client, &["nslookup", name]).await;
        assert!(code == Some(0) && text.contains("10.77.0.9"), "{name}: {text}");
    }
    // As soon as it serves.
    fetch("10.77.0.9:80").expect("reached from the host");
    let fetched = bench.exec(&client, &["wget", "-q", "-O", "-", "http://10.77.0.9/index.html"]).await;
    assert_eq!((fetched.0.trim(), fetched.1), (&web[..12], Some(0)));
    bench.engine.container_rename(&web, "site").await.expect("rename");
    let look = async |name: &str| bench.exec(&client, &["nslookup", name]).await.1;
    assert_eq!((look("site").await, look("web").await), (Some(0), Some(1)));

    // One more network for the client, and away again.
    bench.make_network("other", "").await;
    let third = bench.run_on("other", "third", SERVER, |_| {}).await;
    assert_eq!(look("third").await, Some(1));
    bench.engine.network_connect("other", "client", EndpointSettings::default()).await.expect("connect");
    assert_eq!(look("third").await, Some(0));
    let (text, _) = bench.exec(&client, &["ip", "-o", "-4", "addr"]).await;
    assert!(text.contains("eth0") && text.contains("eth1"), "{text}");
    let again = bench.engine.network_connect("other", "client", EndpointSettings::default()).await;
    let again = again.unwrap_err();
    assert_eq!(
        (again.kind(), again.to_string()),
        (Kind::Forbidden, "endpoint with name client already exists in network other".to_owned())
    );
    let error = bench.engine.network_remove("other").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden, "{error}");
    bench.engine.network_disconnect("mine", "client", false).await.expect("disconnect");
    assert_eq!((look("third").await, look("site").await), (Some(0), Some(1)));
    let (text, _) = bench.exec(&client, &["ip", "route"]).await;
    let gateway = bench.endpoint(&client, "other").await.gateway;
    assert!(text.contains(&format!("default via {gateway}")), "{text}");
    let twice = bench.engine.network_disconnect("mine", "client", false).await.unwrap_err();
    assert_eq!(twice.to_string(), format!("container {client} is not connected to network mine"));

    // Events in Docker's order.
    bench.engine.container_kill(&third, None).await.expect("kill");
    clear(&bench.engine).await;
    for network in ["mine", "other"] {
        bench.engine.network_remove(network).await.expect("remove network");
    }
    bench
}

pub async fn events_of_networks(bench: Bench) -> Bench {
    let network = bench.make_network("mine", "").await;
    let since = EventsOptions { since: Some("1h".into()), until: Some("0s".into()), ..Default::default() };
    let id = bench.run_on("mine", "web", &["sleep", "100000"], |_| {}).await;
    bench.engine.container_stop(&id, StopOptions { timeout: Some(0), signal: None }).await.expect("stop");
    bench.engine.container_remove(&id, RemoveOptions::default()).await.expect("remove");
    let all: Vec<_> = bench.engine.events(since).expect("events").collect().await;
    let told: Vec<_> = all
        .iter()
        .filter(|event| event.kind == "container" || event.action.contains("connect"))
        .map(|event| event.action.as_str())
        .collect();
    assert_eq!(told, ["create", "connect", "start", "kill", "kill", "die", "disconnect", "stop", "destroy"]);
    let connect = all.iter().find(|event| event.action == "connect").expect("told");
    let attributes: Vec<_> = connect.actor.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(attributes, [format!("container={id}"), "name=mine".into(), "type=bridge".into()]);
    assert_eq!((connect.kind.as_str(), &connect.actor.id), ("network", &network));
    bench.engine.network_remove("mine").await.expect("remove network");
    bench
}

pub async fn networks_survive_the_engine(bench: Bench) -> Bench {
    bench.make_network("mine", "10.78.0.0/24").await;
    let web = bench.run_on("mine", "web", SERVER, |request| bind(request, "80/tcp", "", "8088")).await;
    let client = bench.run_on("mine", "client", &["sleep", "100000"], |_| {}).await;
    let ends = bench
        .run_on("mine", "ends", &["sleep", "100000"], |request| bind(request, "80/tcp", "", "8089"))
        .await;
    let before = bench.network(&web).await;
    let pid = bench.state(&ends).await.pid;
    bench.engine.shutdown().await.expect("shut down");
    let Bench { engine, path } = bench;
    drop(engine);
    assert!(fetch("127.0.0.1:8088").is_some(), "published while no engine is there");
    std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill");
    eventually("it has ended", || is_gone(pid)).await;
    let bench = Bench { engine: open_again(&path).await, path };
    assert_eq!(bench.network(&web).await, before);
    assert!(fetch("127.0.0.1:8088").is_some(), "published again");
    assert!(TcpListener::bind("0.0.0.0:8088").is_err(), "held again");
    eventually("its port is given back", || TcpListener::bind("0.0.0.0:8089").is_ok()).await;
    assert_eq!(bench.exec(&client, &["nslookup", "web"]).await.1, Some(0));
    let late = bench.run_on("mine", "late", &["sleep", "100000"], |_| {}).await;
    let mut addresses = Vec::new();
    for id in [&web, &client, &late] {
        addresses.push(bench.endpoint(id, "mine").await.ip_address);
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "{addresses:?}");
    clear(&bench.engine).await;
    bench.engine.network_remove("mine").await.expect("remove network");
    bench
}
