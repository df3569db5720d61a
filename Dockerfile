# The tool, with the Envoy that it starts and the module that it carries. Build the tool first:
#
#   scripts/build && docker build -t cutover .
#
# It needs glibc 2.34 or newer; the image of Envoy has 2.35.
FROM envoyproxy/envoy:v1.40.0

COPY target/release/cutover /usr/local/bin/cutover
# The state of `cutover up`, and where `cutover verify` writes. No process runs as root.
RUN install -d -o 65532 -g 65532 /state
USER 65532:65532
WORKDIR /state
ENV CUTOVER_STATE=/state CUTOVER_ENVOY=/usr/local/bin/envoy
VOLUME /state

ENTRYPOINT ["cutover"]
CMD ["--help"]
