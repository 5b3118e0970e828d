package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func listTagsForResource(reg *registry.Registry, in *sd.ListTagsForResourceInput) (*sd.ListTagsForResourceOutput, error) {
	tags, err := reg.Tags(value(in.ResourceARN))
	if err != nil {
		return nil, err
	}
	out := &sd.ListTagsForResourceOutput{Tags: make([]types.Tag, 0, len(tags))}
	for _, t := range tags {
		out.Tags = append(out.Tags, types.Tag{Key: &t.Key, Value: &t.Value})
	}
	return out, nil
}

func tagResource(reg *registry.Registry, in *sd.TagResourceInput) (*sd.TagResourceOutput, error) {
	tags, err := tagsIn(in.Tags)
	if err != nil {
		return nil, err
	}
	return &sd.TagResourceOutput{}, reg.AddTags(value(in.ResourceARN), tags)
}

func untagResource(reg *registry.Registry, in *sd.UntagResourceInput) (*sd.UntagResourceOutput, error) {
	return &sd.UntagResourceOutput{}, reg.RemoveTags(value(in.ResourceARN), in.TagKeys)
}

// tagsIn keeps the difference between no list and an empty one.
func tagsIn(tags []types.Tag) ([]registry.Tag, error) {
	if tags == nil {
		return nil, nil
	}
	list := make([]registry.Tag, 0, len(tags))
	for _, t := range tags {
		if t.Value == nil {
			return nil, missing("Tags.Value")
		}
		list = append(list, registry.Tag{Key: value(t.Key), Value: value(t.Value)})
	}
	return list, nil
}
