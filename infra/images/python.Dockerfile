# The image in which programs of a scenario steer one version of SUMO, built with Docker; `make images` builds the same without. From the
# root of the repository:
#
#   docker build -f infra/images/python.Dockerfile --build-arg VERSION=1.28 -t dev.local/sumo:1.28-python .
#
# The oldest versions have no libsumo for the Python of this Debian: build these with --build-arg DEBIAN=bookworm --build-arg PYTHON=11.
ARG VERSION
ARG DEBIAN=trixie

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
FROM debian:${DEBIAN} AS debian
ARG VERSION
ARG PYTHON=13
COPY infra/images/sumo.packages infra/images/python.packages /packages/
RUN apt-get update && apt-get dist-upgrade --yes && cat /packages/* | xargs apt-get install --yes --no-install-recommends python3-pip
COPY --from=build /images /sumo /
RUN /sumo controllers --dir /wheels --python /usr/bin/python3.${PYTHON} ${VERSION} && \
    /images slim sumo / /layer.tar && /images wheel ${VERSION} /wheels /wheel.tar && \
    /images slim python / /python.tar && /images python ${VERSION} ${PYTHON} /wheels /programs.tar && \
    mkdir /root-of-image && \
    for layer in /layer.tar /wheel.tar /python.tar /programs.tar; do tar --extract --file $layer --directory /root-of-image; done

FROM scratch
ARG VERSION
ARG PYTHON=13
COPY --from=debian /root-of-image /
COPY --from=build /out /
ENV PATH=/usr/bin SUMO_BINARY=/opt/sumo/${VERSION}/sumo/bin/sumo SUMO_HOME=/opt/sumo/${VERSION}/sumo SUMO_VERSION=${VERSION} LC_ALL=C.UTF-8 SUMO_PYTHON=/usr/bin/python3.${PYTHON} SUMO_PYTHONPATH=/opt/sumo/${VERSION}/libsumo/cp3${PYTHON}:/opt/sumo/${VERSION}/sumo/tools:/opt/sumo/python/cp3${PYTHON}
LABEL org.opencontainers.image.title=sumo-run
USER 65532:65532
ENTRYPOINT ["/usr/bin/sumo-run"]
