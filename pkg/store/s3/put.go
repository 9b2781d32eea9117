package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	// smallSize holds most result files, so that storing them does not cost a whole part of memory.
	smallSize = 64 << 10
	// partSize is the least that S3 takes for a part but the last: an upload holds three (one being read, two on their
	// way), and as much again is garbage before the collector runs.
	partSize     = 5 << 20
	partsSending = 2
	// maxParts is the S3 limit; with partSize it makes 48 GiB the largest object.
	maxParts = 10_000
	// abortTimeout bounds the clean-up after a failure, which must happen even when the caller has left.
	abortTimeout = 10 * time.Second
)

var partBuffers = sync.Pool{New: func() any { return new([partSize]byte) }}

// Put implements artifact.Store. A body of at most 5 MiB is one request; a longer one is an upload in parts, which
// leaves nothing if it fails.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, contentType string) (int64, error) {
	api, _, err := s.connect(ctx)
	if err != nil {
		return 0, err
	}
	small := make([]byte, smallSize)
	n, last, err := readPart(r, small)
	if err != nil {
		return 0, fmt.Errorf("read what is to be stored as %s: %w", key, err)
	}
	if last {
		return s.putWhole(ctx, api, key, small[:n], contentType)
	}
	part := partBuffers.Get().(*[partSize]byte)
	copy(part[:], small)
	n, last, err = readPart(r, part[smallSize:])
	if err == nil && last {
		defer partBuffers.Put(part)
		return s.putWhole(ctx, api, key, part[:smallSize+n], contentType)
	}
	if err != nil {
		partBuffers.Put(part)
		return 0, fmt.Errorf("read what is to be stored as %s: %w", key, err)
	}
	return s.putParts(ctx, api, key, part, r, contentType)
}

// readPart fills buf from r, and reports how much it got and whether r has ended. Unlike io.ReadFull it keeps the end of
// r apart from an io.ErrUnexpectedEOF of r's own, which is how an HTTP body reports that the client disconnected.
func readPart(r io.Reader, buf []byte) (n int, last bool, err error) {
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

func (s *Store) putWhole(ctx context.Context, api *s3.Client, key string, body []byte, contentType string) (int64, error) {
	_, err := api.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.cfg.Bucket, Key: &key, Body: bytes.NewReader(body), ContentType: optional(contentType),
	})
	if err != nil {
		return 0, s.failed(err, "store", key)
	}
	return int64(len(body)), nil
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// putParts stores first, which is full, and the rest of r.
func (s *Store) putParts(
	ctx context.Context, api *s3.Client, key string, first *[partSize]byte, r io.Reader, contentType string,
) (int64, error) {
	upload, err := api.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: &key, ContentType: optional(contentType),
	})
	if err != nil {
		return 0, s.failed(err, "start storing", key)
	}
	parts, size, err := s.sendParts(ctx, api, key, upload.UploadId, first, r)
	if err == nil {
		_, err = api.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &s.cfg.Bucket, Key: &key, UploadId: upload.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		}, func(o *s3.Options) { o.HTTPClient = s.patient })
		err = s.failed(err, "finish storing", key)
	}
	if err != nil {
		return 0, errors.Join(err, s.abort(context.WithoutCancel(ctx), api, key, upload.UploadId))
	}
	return size, nil
}

// sendParts uploads two parts while it reads a third. When it returns, no request is under way, here or at the store: a part
// that was cut off here may still arrive there, after the upload was aborted, and then stays for ever in a place that
// no list shows. So a part on its way is finished, for which it has abortTimeout once the caller has left.
func (s *Store) sendParts(
	ctx context.Context, api *s3.Client, key string, upload *string, part *[partSize]byte, r io.Reader,
) ([]types.CompletedPart, int64, error) {
	var (
		mu    sync.Mutex
		parts []types.CompletedPart
		size  int64
	)
	sending, sendCtx := errgroup.WithContext(ctx)
	sending.SetLimit(partsSending)
	partCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(sendCtx, func() {
		select {
		case <-time.After(abortTimeout):
			cancel()
		case <-partCtx.Done():
		}
	})()
	send := func(number int32, part *[partSize]byte, n int) {
		size += int64(n)
		sending.Go(func() error {
			defer partBuffers.Put(part)
			out, err := api.UploadPart(partCtx, &s3.UploadPartInput{
				Bucket: &s.cfg.Bucket, Key: &key, UploadId: upload, PartNumber: &number, Body: bytes.NewReader(part[:n]),
			})
			if err != nil {
				return s.failed(err, fmt.Sprintf("store part %d of", number), key)
			}
			mu.Lock()
			defer mu.Unlock()
			parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag})
			return nil
		})
	}
	send(1, part, partSize)
	var readErr error
	for number, last := int32(2), false; !last && readErr == nil && sendCtx.Err() == nil; number++ {
		part := partBuffers.Get().(*[partSize]byte)
		var n int
		n, last, readErr = readPart(r, part[:])
		if readErr != nil {
			readErr = fmt.Errorf("read what is to be stored as %s: %w", key, readErr)
		} else if number > maxParts && n > 0 {
			readErr = problem.New(problem.TooLarge, "An object may have at most %d GiB; split it.", maxParts*partSize>>30)
		}
		if readErr != nil || n == 0 {
			partBuffers.Put(part)
			continue
		}
		send(number, part, n)
	}
	if err := cmp.Or(sending.Wait(), readErr, ctx.Err()); err != nil {
		return nil, 0, err
	}
	slices.SortFunc(parts, func(a, b types.CompletedPart) int { return cmp.Compare(*a.PartNumber, *b.PartNumber) })
	return parts, size, nil
}

// abort frees the parts of an upload that failed. One that no longer exists is no error.
func (s *Store) abort(ctx context.Context, api *s3.Client, key string, upload *string) error {
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	_, err := api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.cfg.Bucket, Key: &key, UploadId: upload})
	if apiCode(err) == "NoSuchUpload" {
		return nil
	}
	return s.failed(err, "abort storing", key)
}

// AbortUploads frees the parts of uploads that began before the given time and were never finished, because the
// process that sent them was killed. It returns how many there were.
func (s *Store) AbortUploads(ctx context.Context, before time.Time) (int, error) {
	api, _, err := s.connect(ctx)
	if err != nil {
		return 0, err
	}
	aborted := 0
	pages := s3.NewListMultipartUploadsPaginator(api, &s3.ListMultipartUploadsInput{Bucket: &s.cfg.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return aborted, s.failed(err, "list uploads of bucket", s.cfg.Bucket)
		}
		for _, u := range page.Uploads {
			if !aws.ToTime(u.Initiated).Before(before) {
				continue
			}
			if err := s.abort(ctx, api, aws.ToString(u.Key), u.UploadId); err != nil {
				return aborted, err
			}
			aborted++
		}
	}
	return aborted, nil
}
