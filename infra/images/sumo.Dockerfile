# The image of one version of SUMO, built with Docker; `make images` builds the same without. From the root of the repository:
#
#   docker build -f infra/images/sumo.Dockerfile --build-arg VERSION=1.28 -t dev.local/sumo:1.28 .
ARG VERSION

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY functions functions
COPY infra infra
COPY migrations migrations
COPY pkg pkg
COPY templates templates
ENV CGO_ENABLED=0
RUN go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' \
    -o /out/usr/bin/ ./pkg/sumo/sumo-run ./pkg/confine/sumo-wall ./pkg/keeper/sumo-keeper && \
    go build -trimpath -o /images ./infra/images && \
    go build -trimpath -o /sumo ./infra/sumo

# Not the slim variant, which lacks the licences that the image must carry.
FROM debian:trixie AS debian
ARG VERSION
COPY infra/images/sumo.packages /packages
RUN apt-get update && apt-get dist-upgrade --yes && xargs apt-get install --yes --no-install-recommends python3-pip </packages
COPY --from=build /images /sumo /
RUN /sumo install --dir /wheels ${VERSION} && /images slim sumo / /layer.tar && /images wheel ${VERSION} /wheels /wheel.tar && \
    mkdir /root-of-image && for layer in /layer.tar /wheel.tar; do tar --extract --file $layer --directory /root-of-image; done

FROM scratch
ARG VERSION
COPY --from=debian /root-of-image /
COPY --from=build /out /
ENV PATH=/usr/bin SUMO_BINARY=/opt/sumo/${VERSION}/sumo/bin/sumo SUMO_HOME=/opt/sumo/${VERSION}/sumo SUMO_VERSION=${VERSION} LC_ALL=C.UTF-8
LABEL org.opencontainers.image.title=sumo-run
USER 65532:65532
ENTRYPOINT ["/usr/bin/sumo-run"]
