# syntax=docker/dockerfile:1
# Tradepost in a container: one program, the roots of certificate authorities, a user without rights.
#
#   docker build -t tradepost .
#   docker run --rm -it -v tradepost-config:/etc/tradepost -v tradepost-data:/var/lib/tradepost tradepost init
#   docker run -d --name tradepost --network host --restart on-failure --stop-timeout 90 \
#     -v tradepost-config:/etc/tradepost -v tradepost-data:/var/lib/tradepost tradepost
#
# The host's network, because SPF and the limits of clients go by the addresses of those who connect, and a published port may
# show the bridge's address in their place. Behind a load balancer that sends PROXY headers set `[smtp] proxy_protocol` and
# publish the ports instead: -p 25:25 -p 465:465 -p 587:587 -p 80:80 -p 8080:8080.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package tradepost \
    && strip --strip-debug -o /tradepost target/release/tradepost

FROM debian:bookworm-slim
# Roots for MTA-STS policies, the certificate authority, PostgreSQL and next servers whose certificate is verified.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10025 tradepost \
    && useradd --system --uid 10025 --gid tradepost --home-dir /var/lib/tradepost --no-create-home --shell /usr/sbin/nologin tradepost \
    && install --directory --mode 0700 --owner tradepost --group tradepost /var/lib/tradepost /etc/tradepost
COPY --from=build /tradepost /usr/local/bin/tradepost
# The right to bind low ports goes with the file: in the host's network no other way leads to it for a user who is not root.
# It is lost under --security-opt no-new-privileges; then choose high ports in the configuration.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libcap2-bin \
    && setcap cap_net_bind_service=+ep /usr/local/bin/tradepost \
    && apt-get purge --yes --auto-remove libcap2-bin \
    && rm -rf /var/lib/apt/lists/*
COPY packaging/tradepost.example.toml packaging/grafana/tradepost.json packaging/prometheus/alerts.yml /usr/share/doc/tradepost/

USER tradepost
ENV TRADEPOST_LOG=info
# Database, bodies, the storage key; configuration and DKIM keys. With a read-only root file system give it --tmpfs /tmp too.
VOLUME ["/var/lib/tradepost", "/etc/tradepost"]
# Mail between servers, HTTP-01 answers, submission over TLS, submission with STARTTLS, the HTTP door.
EXPOSE 25 80 465 587 8080
# /healthz says that the process answers; ask /readyz for whether it takes mail. The slim image has no curl, but bash opens
# connections. TRADEPOST_HEALTH_PORT is the port of `[web] listen`.
ENV TRADEPOST_HEALTH_PORT=8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$TRADEPOST_HEALTH_PORT && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -t 4 status <&3 && [[ $status == *' 200 '* ]]"]
# SIGTERM ends it in order, SIGHUP reads the configuration anew: docker kill --signal=HUP tradepost
STOPSIGNAL SIGTERM
ENTRYPOINT ["tradepost"]
CMD ["serve"]
