#!/bin/sh
# Publish an image, wait until the catalog has it and, if asked, roll it out behind a brake.
# docs/pipelines.md says which variables it reads. It ends with
#   0  all that was asked is done
#   2  a variable or a program is missing
#   3  the brake held the rollout, which was then aborted
#   4  somebody else moved the variant meanwhile; what they did stands
#   5  the API refused; the refusal is printed
#   6  the API, or the entry in the catalog, was not there in time
# Safe to repeat: what is done already stays as it is.
set -eu

fail() {
    code=$1
    shift
    echo "$*" >&2
    exit "$code"
}

for program in curl jq; do
    command -v $program >/dev/null || fail 2 "$program is not installed"
done
for name in KILOCLAW_API KILOCLAW_TOKEN IMAGE_TAG; do
    eval "[ -n \"\${$name:-}\" ]" || fail 2 "$name is not set"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
variant=''

# call TOKEN METHOD PATH [BODY [ETAG]]: sets $status and $etag; the answer is in $work/answer.
# The token goes by a file, so that no list of processes shows it.
call() {
    printf 'authorization: Bearer %s\n' "$1" >"$work/token"
    method=$2 path=$3 body=${4:-} match=${5:-}
    set -- --silent --show-error --max-time 35 --retry 8 --retry-connrefused \
        --retry-max-time "${WAIT_SECONDS:-300}" --request "$method" --header "@$work/token" \
        --dump-header "$work/headers" --output "$work/answer" --write-out '%{http_code}'
    [ -z "$body" ] || set -- "$@" --header 'content-type: application/json' --data "$body"
    [ -z "$match" ] || set -- "$@" --header "if-match: $match"
    : >"$work/answer"
    status=$(curl "$@" "$KILOCLAW_API$path") || fail 6 "no answer from $KILOCLAW_API"
    etag=$(tr -d '\r' <"$work/headers" | sed -n 's/^[Ee][Tt][Aa][Gg]: *//p' | tail -n 1)
}

answer() {
    jq -r "$1" "$work/answer"
}

# Print the refusal and end; an API that is not well is no refusal.
refused() {
    text="$1: $status $(answer '"\(.code // "no code"): \(.detail // "")"' 2>/dev/null)"
    case $status in
        5??) fail 6 "$text" ;;
        *) fail 5 "$text" ;;
    esac
}

publish() {
    [ -n "${OPENCLAW_VERSION:-}" ] || fail 2 "OPENCLAW_VERSION is not set"
    call "$KILOCLAW_TOKEN" POST /v1/versions "$(
        jq -n --arg image_tag "$IMAGE_TAG" --arg openclaw_version "$OPENCLAW_VERSION" \
            --arg image_digest "${IMAGE_DIGEST:-}" --arg variant "${VARIANT:-}" \
            --arg notes "${NOTES:-}" --argjson set_latest "${SET_LATEST:-false}" \
            '$ARGS.named | with_entries(select(.value != ""))'
    )"
    case $status in
        200 | 201) echo "published $IMAGE_TAG" ;;
        *) refused "cannot publish" ;;
    esac
}

# An entry that was written to the KV is in the catalog after the next run of sync.
wait_for_catalog() {
    waited=0
    while :; do
        call "$KILOCLAW_TOKEN" GET "/v1/versions/$IMAGE_TAG"
        [ "$status" != 200 ] || break
        [ "$status" = 404 ] || refused "cannot read the version"
        [ "$waited" -lt "${WAIT_SECONDS:-300}" ] || fail 6 "the catalog does not have $IMAGE_TAG"
        sleep "${POLL_SECONDS:-15}"
        waited=$((waited + ${POLL_SECONDS:-15}))
    done
    variant=$(answer .variant)
}

# look: what the variant is at, in $state (`ours`, `held`, `latest` or `other`) and $etag.
look() {
    call "$KILOCLAW_TOKEN" GET "/v1/variants/$variant"
    [ "$status" = 200 ] || refused "cannot read the variant"
    state=$(jq -r --arg tag "$IMAGE_TAG" '
        if .latest.image_tag == $tag then "latest"
        elif .candidate.image_tag != $tag then "other"
        elif .rollout.held then "held" else "ours" end' "$work/answer")
    percent=$(answer '.rollout.percent // 0')
}

# check: go on while the rollout is ours and not held.
check() {
    case $state in
        ours) ;;
        held) abort ;;
        *) fail 4 "$IMAGE_TAG is no longer the candidate: somebody moved the variant" ;;
    esac
}

abort() {
    call "$KILOCLAW_ADMIN_TOKEN" DELETE \
        "/v1/variants/$variant/rollout?reason=the+brake+held+it" '' "$etag"
    case $status in
        204) ;;
        412)
            look
            [ "$state" = other ] || fail 4 "somebody moved the variant"
            ;;
        *) refused "the brake held the rollout, and it cannot be aborted" ;;
    esac
    fail 3 "the brake held the rollout of $IMAGE_TAG"
}

# raise PERCENT: only over what was seen last. A repeat whose answer was lost finds it done.
raise() {
    call "$KILOCLAW_ADMIN_TOKEN" PUT "/v1/variants/$variant/rollout" "$(
        jq -n --arg tag "$IMAGE_TAG" --argjson percent "$1" \
            --argjson failures "${BRAKE_MIN_FAILURES:-5}" --argjson share "${BRAKE_PERCENT:-20}" \
            '{image_tag: $tag, percent: $percent,
              brake: {min_failures: $failures, percent: $share}}'
    )" "$etag"
    case $status in
        200) echo "$IMAGE_TAG is out to $1 %" ;;
        412)
            look
            check
            [ "$percent" = "$1" ] || fail 4 "somebody moved the variant"
            ;;
        *) refused "cannot roll out" ;;
    esac
}

watch() {
    watched=0
    while [ "$watched" -lt "${SOAK_SECONDS:-600}" ]; do
        sleep "${POLL_SECONDS:-15}"
        watched=$((watched + ${POLL_SECONDS:-15}))
        look
        check
    done
}

# The promotion is for the state that was seen last: a hold that landed since is a 412.
promote() {
    look
    check
    call "$KILOCLAW_ADMIN_TOKEN" POST "/v1/versions/$IMAGE_TAG/promote" '{}' "$etag"
    case $status in
        200) ;;
        412)
            look
            [ "$state" = latest ] || check
            [ "$state" = latest ] || fail 4 "somebody moved the variant"
            ;;
        *) refused "cannot promote" ;;
    esac
    echo "$IMAGE_TAG is the latest"
}

roll_out() {
    : "${KILOCLAW_ADMIN_TOKEN:=$KILOCLAW_TOKEN}"
    look
    case $state in
        latest)
            echo "$IMAGE_TAG is the latest already"
            return
            ;;
        held) abort ;;
    esac
    for step in $ROLLOUT_STEPS; do
        [ "$state" = ours ] && [ "$percent" -ge "$step" ] || raise "$step"
        watch
    done
    promote
}

[ "${PUBLISHED:-no}" = yes ] || publish
wait_for_catalog
[ -z "${ROLLOUT_STEPS:-}" ] || roll_out
