package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// called sends one request through a relay to a shop that is blue, and returns the answer and its body.
func called(t *testing.T, path string, sent http.Header) (*http.Response, string) {
	t.Helper()
	backend := httptest.NewServer(shop("blue", "v1"))
	t.Cleanup(backend.Close)
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(forward(target))
	t.Cleanup(front.Close)
	request, err := http.NewRequest(http.MethodGet, front.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = sent
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func TestARelayPassesOnWhatTheShopSays(t *testing.T) {
	answer, body := called(t, "/cart", http.Header{"X-Cutover-Decision": {"shop 7 blue"}})
	if answer.StatusCode != http.StatusOK || body != "blue v1\n" {
		t.Errorf("got %s %q", answer.Status, body)
	}
	if got := answer.Header.Get("x-backend-color"); got != "blue" {
		t.Errorf("x-backend-color: %q", got)
	}
	if got := answer.Header.Get("x-backend-decision"); got != "shop 7 blue" {
		t.Errorf("x-backend-decision: %q", got)
	}
}

func TestAShopThatWasToldNoDecisionRepeatsNone(t *testing.T) {
	answer, _ := called(t, "/", http.Header{})
	if got, there := answer.Header["X-Backend-Decision"]; there {
		t.Errorf("x-backend-decision: %q", got)
	}
}

func TestARelayIsReadyWithoutTheShop(t *testing.T) {
	nobody := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	for path, want := range map[string]int{relayReady: http.StatusOK, "/": http.StatusBadGateway} {
		answer := httptest.NewRecorder()
		forward(nobody).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		if answer.Code != want {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
		if want == http.StatusBadGateway && !strings.HasPrefix(answer.Body.String(), "relay: ") {
			t.Errorf("the answer does not say who failed: %s", answer.Body)
		}
	}
}

func TestGetPrintsStatusAndBody(t *testing.T) {
	backend := httptest.NewServer(shop("green", "v2"))
	defer backend.Close()
	var out bytes.Buffer
	if err := get([]string{"--header", "x-cutover-preview: green", backend.URL}, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "200 green v2\n" {
		t.Errorf("printed %q", &out)
	}
}

func TestWrongArgumentsAreRefusedWithTheUsage(t *testing.T) {
	for _, arguments := range [][]string{
		{}, {"sell"}, {"serve", "--color", "purple"}, {"serve"}, {"relay", "--to", "shop"}, {"get"}, {"get", "--header", "x"},
	} {
		if err := run(arguments); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", arguments, err)
		}
	}
}
